package wasmill

// Level is how much a line of the log matters.
type Level uint32

// The levels.
const (
	Trace Level = iota
	Debug
	Info
	Warn
	Error
)

// Log writes one line to the log of the stage. The host limits lines and bytes per second: what is over is cut or
// dropped. Text that is not UTF-8 is repaired.
func Log(level Level, message string) { write(level, message) }
