//go:build wasm

package transform

import (
	"wasmill/batch"
	"wasmill/internal/abi"
	"wasmill/internal/exported"
)

//go:wasmexport wasmill:operator/transform@0.1.0#open
func open(config abi.Pointer, configLength uint32, input abi.Pointer, inputCount uint32) abi.Pointer {
	defer abi.Begin(batch.Context{})()
	return abi.Opened(operator().Open(abi.Bytes(config, configLength), abi.Fields(input, inputCount)))
}

//go:wasmexport cabi_post_wasmill:operator/transform@0.1.0#open
func opened(abi.Pointer) { abi.PostReturn() }

//go:wasmexport wasmill:operator/transform@0.1.0#process
func process(number uint64, attempt uint32, watermark, now batch.Timestamp, seed uint64,
	count uint32, columns abi.Pointer, columnCount uint32) abi.Pointer {
	context := batch.Context{Batch: number, Attempt: attempt, Watermark: watermark, Now: now, Seed: seed}
	defer abi.Begin(context)()
	rows := batch.Rows{Count: int(count), Columns: abi.Columns(columns, columnCount)}
	effects, failure := operator().Process(context, rows)
	if failure != nil {
		return abi.Failed(failure)
	}
	result, content := abi.Result(abi.SizeOfEffects)
	abi.PutEffects(content, &effects)
	return result
}

//go:wasmexport cabi_post_wasmill:operator/transform@0.1.0#process
func processed(abi.Pointer) { abi.PostReturn() }

func operator() *batch.Transform {
	operator, _ := exported.Operator()
	if operator == nil {
		panic("there is no operator: call transform.Export in an init function")
	}
	return operator
}
