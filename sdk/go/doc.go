// Package wasmill makes stream operators in Go: an author writes a function of a row, the SDK makes of it a component
// that is called with columns.
//
//	type Reading struct {
//		Value float64
//		Site  *string `wasmill:"site.name"`
//	}
//
//	type Stats struct {
//		N    int64
//		Mean float64
//	}
//
//	type Scored struct{ Distance float64 }
//
//	func score(r Reading, s *Stats, cfg *Config, out *wasmill.Out[Scored]) error {
//		if math.IsNaN(r.Value) {
//			return wasmill.Reject("value is not a number")
//		}
//		s.N++
//		s.Mean += (r.Value - s.Mean) / float64(s.N)
//		distance := r.Value - s.Mean
//		if math.Abs(distance) > cfg.Far {
//			out.To("alerts", Scored{distance})
//		}
//		out.Emit(Scored{distance})
//		return nil
//	}
//
//	func init() { keyed.Export(wasmill.Keyed(score, wasmill.Ports("alerts"))) }
//
//	func main() {}
//
// Such a program is built by `wasmill build`.
//
// # Structs
//
// Rows, states and configurations are structs. An exported field is a column, or a key of the configuration: its name
// in snake case (SiteID is site_id), or what its tag says, `wasmill:"site.name,default=unknown"`; `wasmill:"-"` is
// none. A column is of one of these types:
//
//	bool, int64, float64, string, []byte   the kinds boolean, int64, float64, utf8, bytes
//	Timestamp                              timestamp: microseconds since 1970
//	JSON                                   json: an array or an object as its text
//	*T, Null[T]                            one of these, or nothing; in a state Null[T] only
//
// Strings and bytes of an input row are views of memory that is used again after the call: they may be passed on and
// put into the state, and must be copied into what lives longer.
//
// # What a component finds
//
// The finished component imports nothing but the host's log: no files, no network, no environment. time.Now() is the
// now of the call's context, a sleep ends at once, crypto/rand follows the context's seed, what is printed goes to the
// log, and so does a panic, with its message and the frames of the operator. Map order and math/rand are seeded once
// for an instance, not for a call: draw from Context.Seed what a replay must see again.
//
// # Packages
//
// [wasmill/transform] and [wasmill/keyed] export an operator; [wasmill/wasmilltest] runs it natively inside go test;
// [wasmill/slog] sends log/slog to the log; [wasmill/batch] is the contract below, for operators on columns.
//
// A call comes in at transform or keyed. What a struct has for columns is worked out once, in layout.go. read.go fills
// rows from columns, operator.go calls the function for each, out.go takes what it sends and verdict.go what it
// answers, state.go keeps what keys have, write.go makes columns of it all.
package wasmill
