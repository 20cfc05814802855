package wasmill

import (
	"strings"
	"unsafe"
)

//go:wasmimport wasmill:operator/log@0.1.0 write
//go:noescape
func logWrite(level uint32, text unsafe.Pointer, length uint32)

func write(level Level, message string) {
	message = strings.ToValidUTF8(message, "?")
	logWrite(uint32(level), unsafe.Pointer(unsafe.StringData(message)), uint32(len(message)))
}
