// The domain of a URL: what lies between its scheme and its path.
package main

import (
	"strings"

	"wasmill"
	"wasmill/transform"
)

type Page struct{ Url string }

type Domain struct{ Domain string }

func domain(page Page) Domain {
	domain := page.Url
	if _, rest, found := strings.Cut(domain, "://"); found {
		domain = rest
	}
	domain, _, _ = strings.Cut(domain, "/")
	return Domain{domain}
}

func init() { transform.Export(wasmill.Map(domain)) }

func main() {}
