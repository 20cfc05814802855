// Nexmark q2: bids on some auctions.
package main

import (
	"wasmill"
	"wasmill/transform"
)

type Bid struct{ Auction int64 }

func filter(bid Bid) bool { return bid.Auction%123 == 0 }

func init() { transform.Export(wasmill.Filter(filter)) }

func main() {}
