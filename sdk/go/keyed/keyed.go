// Package keyed makes an operator with state for each key the one of this component.
package keyed

import (
	"wasmill/batch"
	"wasmill/internal/exported"
)

// Export makes the operator that of this component. It is to be called in an init function, once.
func Export(operator batch.Keyed) { exported.Keyed(operator) }
