package stack

import (
	"strings"
	"testing"
)

const whole = `goroutine 1 [running]:
wasmill/internal/abi.end()
	wasmill/internal/abi/call.go:40 +0x7
panic({0x1a2b0, 0x14056a0})
	runtime/panic.go:860 +0x13
runtime.goPanicIndex(0x5, 0x2)
	runtime/panic.go:115 +0x3
main.inner(...)
	my-op/main.go:12
main.(*counter).score({{0x2d20ac, 0x5}, 0x2c65b0}, 0x14000c0)
	my-op/main.go:30 +0x5
main.init.0.Transform[...].func3()
	wasmill@v0.0.0/operator.go:79 +0x1
wasmill.Keyed[...].func2({0x1, 0x0})
	wasmill/operator.go:112 +0x9
wasmill/keyed.process(0x1)
	wasmill/keyed/export.go:25 +0x3`

func TestAStackIsShownFromThePanicToTheSDK(t *testing.T) {
	expected := "\n  at main.inner my-op/main.go:12\n  at main.(*counter).score my-op/main.go:30"
	if found := Own(whole); found != expected {
		t.Errorf("found %q", found)
	}
	sdk := "main.init.0.Transform[...].func3()\n\twasmill@v0.0.0/operator.go:79 +0x1"
	byName := strings.Replace(whole, sdk, "main.init.1.func1()\n\tmy-op/target/go/wasmill_by_name.txt:12 +0x1", 1)
	if found := Own(byName); byName == whole || found != expected {
		t.Errorf("found %q", found)
	}
	for _, odd := range []string{"", "panic(", "goroutine 1", "a\nb\nc"} {
		Own(odd)
	}
}
