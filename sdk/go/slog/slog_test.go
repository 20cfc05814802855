package slog

import (
	"fmt"
	"log/slog"
	"testing"

	"wasmill"
)

func TestALineHasItsLevelMessageAndAttributes(t *testing.T) {
	var lines []string
	logger := slog.New(handler{write: func(level wasmill.Level, line string) {
		lines = append(lines, fmt.Sprint(level, " ", line))
	}})
	logger.Info("begun")
	logger.With("site", 1).WithGroup("row").Warn("odd", "n", 2, slog.Group("at", "x", 3))
	logger.Log(t.Context(), slog.LevelDebug-4, "all")
	expected := fmt.Sprint([]string{"2 begun", "3 odd site=1 row.n=2 row.at.x=3", "0 all"})
	if found := fmt.Sprint(lines); found != expected {
		t.Errorf("found %s, expected %s", found, expected)
	}
}
