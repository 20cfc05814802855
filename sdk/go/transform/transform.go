// Package transform exports an operator without state: map, filter, flat-map, route.
package transform

import "wasmill"

// Operator is the two functions of wasmill:operator/transform.
type Operator struct {
	// Open is called once on a new instance. config is the text of a JSON object, valid during the call; input are the
	// fields that a row has here. With the same arguments the plan must be the same each time.
	Open func(config []byte, input []wasmill.Field) (wasmill.Plan, error)
	// Process is called for each batch.
	Process func(context wasmill.Context, rows wasmill.Rows) (wasmill.Effects, error)
}

var exported Operator

// Export makes the operator that of this component. It is to be called in an init function, once.
func Export(operator Operator) {
	if exported.Open != nil {
		panic("a component has one operator: transform.Export was called twice")
	}
	exported = operator
}
