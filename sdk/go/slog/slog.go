// Package slog sends what a program writes by log/slog, and by log, to the log of the stage: a line with the message
// and the attributes as key=value, at the record's level. Importing it is enough:
//
//	import _ "wasmill/slog"
//
// Without it log and log/slog write to stderr, which is the log at level error.
package slog

import (
	"context"
	"log/slog"
	"strings"

	"wasmill"
)

func init() { slog.SetDefault(slog.New(handler{write: wasmill.Log})) }

type handler struct {
	write func(wasmill.Level, string)
	// attrs are those of all lines, as text.
	attrs string
	// group stands before the names of attributes.
	group string
}

// Enabled is true: the host decides what is kept.
func (handler) Enabled(context.Context, slog.Level) bool { return true }

// Handle writes a line.
func (h handler) Handle(_ context.Context, record slog.Record) error {
	var line strings.Builder
	line.WriteString(record.Message)
	line.WriteString(h.attrs)
	record.Attrs(func(attr slog.Attr) bool {
		h.append(&line, h.group, attr)
		return true
	})
	h.write(levelOf(record.Level), line.String())
	return nil
}

// WithAttrs is a handler whose lines have these.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	line := strings.Builder{}
	line.WriteString(h.attrs)
	for _, attr := range attrs {
		h.append(&line, h.group, attr)
	}
	h.attrs = line.String()
	return h
}

// WithGroup is a handler whose further attributes have the name before theirs.
func (h handler) WithGroup(name string) slog.Handler {
	h.group += name + "."
	return h
}

func (h handler) append(line *strings.Builder, group string, attr slog.Attr) {
	value := attr.Value.Resolve()
	if value.Kind() == slog.KindGroup {
		if attr.Key != "" {
			group += attr.Key + "."
		}
		for _, inner := range value.Group() {
			h.append(line, group, inner)
		}
		return
	}
	line.WriteString(" " + group + attr.Key + "=" + value.String())
}

func levelOf(level slog.Level) wasmill.Level {
	switch {
	case level < slog.LevelDebug:
		return wasmill.Trace
	case level < slog.LevelInfo:
		return wasmill.Debug
	case level < slog.LevelWarn:
		return wasmill.Info
	case level < slog.LevelError:
		return wasmill.Warn
	}
	return wasmill.Error
}
