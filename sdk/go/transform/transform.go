// Package transform makes an operator without state (map, filter, flat-map, route) the one of this component.
package transform

import (
	"wasmill/batch"
	"wasmill/internal/exported"
)

// Export makes the operator that of this component. It is to be called in an init function, once.
func Export(operator batch.Transform) { exported.Transform(operator) }
