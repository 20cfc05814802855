// Package exported holds the operator of this program: in a component for the functions that the host calls, in a test
// for the driver.
package exported

import "wasmill/batch"

var (
	transform *batch.Transform
	keyed     *batch.Keyed
)

// Transform takes the operator.
func Transform(operator batch.Transform) {
	once()
	transform = &operator
}

// Keyed takes the operator.
func Keyed(operator batch.Keyed) {
	once()
	keyed = &operator
}

func once() {
	if transform != nil || keyed != nil {
		panic("a component has one operator: Export was called twice")
	}
}

// Operator is what was exported: one of the two, or none.
func Operator() (*batch.Transform, *batch.Keyed) { return transform, keyed }
