package wasmill

import "wasmill/batch"

// metric is a number of the operator's own that is watched.
type metric struct {
	batch.Metric
	value float64
}

var (
	metrics []*metric
	// moved says whether this call has anything to report.
	moved bool
)

func newMetric(name, kind, help string) *metric {
	made := &metric{Metric: batch.Metric{Name: name, Kind: kind, Help: help}}
	metrics = append(metrics, made)
	return made
}

// Counter is a metric to whose value amounts are added.
type Counter struct{ metric *metric }

// NewCounter declares a counter. It belongs into a variable of the package, so that the plan has it. The name is
// lower-case words with _, the unit last, such as rejected_rows; help is a sentence for whoever reads the dashboard.
func NewCounter(name, help string) Counter { return Counter{newMetric(name, "counter", help)} }

// Add adds an amount, which must be finite. What a row adds stays added when the row is refused.
func (c Counter) Add(amount float64) {
	c.metric.value += amount
	moved = true
}

// Gauge is a metric of which the last value counts.
type Gauge struct{ metric *metric }

// NewGauge declares a gauge, as [NewCounter] does a counter.
func NewGauge(name, help string) Gauge { return Gauge{newMetric(name, "gauge", help)} }

// Set makes this its value, which must be finite.
func (g Gauge) Set(value float64) {
	g.metric.value = value
	moved = true
}

// declared is the metrics of the plan.
func declared() []batch.Metric {
	plan := make([]batch.Metric, len(metrics))
	for i, metric := range metrics {
		plan[i] = metric.Metric
	}
	return plan
}

// measure begins a call: a counter reports what this call adds.
func measure() {
	moved = false
	for _, metric := range metrics {
		if metric.Kind == "counter" {
			metric.value = 0
		}
	}
}

// measured is the metrics of a call.
func measured() []float64 {
	if !moved {
		return nil
	}
	values := make([]float64, len(metrics))
	for i, metric := range metrics {
		values[i] = metric.value
	}
	return values
}
