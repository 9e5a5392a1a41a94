package main

// figure is one of the numbers that matter: how many times as much as something else,
// or a number by itself, beside what it should be.
type figure struct {
	Text string `json:"text"`
	// Aim is what it should be at least (Over) or at most; zero: there is no aim.
	Aim  float64 `json:"aim,omitempty"`
	Over bool    `json:"over,omitempty"`
	// Value of a ratio is taken for each round by itself, since what else happens on
	// the machine then meets both sides.
	Value spread `json:"value"`
}

// met reports whether the median is as it should be.
func (f *figure) met() bool {
	if f.Over {
		return f.Value.Median >= f.Aim
	}
	return f.Value.Median <= f.Aim
}

// figures collects those for which everything was measured.
type figures []*figure

// compareAll makes the figures of a report.
func compareAll(r *report) figures {
	var fs figures
	fs.puts(r.table(partPut))
	fs.gets(r.table(partGet))
	fs.latencies(r.Open)
	fs.gaps(r.Failover)
	if t, redis := r.Memory.find("tandem"), r.Memory.find("redis"); t != nil && redis != nil {
		fs.atMost("memory at rest, Tandem's primary / Redis's", 1.5, float64(t.Rest)/float64(redis.Rest))
	}
	return fs
}

// atLeast adds the ratio of two cells, which should be at least so much.
func (fs *figures) atLeast(text string, aim float64, a, b *cell) {
	if a == nil || b == nil {
		return
	}
	rate := func(s sample) float64 { return s.PerSecond }
	*fs = append(*fs, &figure{Text: text, Over: true, Aim: aim, Value: ratioOf(a.Samples, b.Samples, rate)})
}

// atMost adds one number, which should be at most so much.
func (fs *figures) atMost(text string, aim, value float64) {
	*fs = append(*fs, &figure{Text: text, Aim: aim, Value: spread{value, value, value}})
}

// ratioOf returns the ratio of a number in two series of rounds.
func ratioOf(a, b []sample, number func(sample) float64) spread {
	var each []float64
	for i := range min(len(a), len(b)) {
		if under := number(b[i]); under > 0 {
			each = append(each, number(a[i])/under)
		}
	}
	return spreadOf(each)
}

// The two ways in which Redis replicates a write of one client.
const (
	redisAtOnce = "redis-wait"
	redisTrips  = "redis-wait-trips"
)

func (fs *figures) puts(t *table) {
	for _, at := range []struct {
		clients int
		text    string
		aim     float64
	}{{64, "64 clients", 1.25}, {16, "16 clients", 1}, {1, "1 client", 0.95}} {
		tandem := t.cell("tandem", at.clients)
		fs.atLeast("Put, "+at.text+", Tandem / Redis SET, then WAIT 1", at.aim, tandem, t.cell(redisTrips, at.clients))
		fs.atLeast("Put, "+at.text+", Tandem / Redis SET, WAIT 1 at once", at.aim, tandem, t.cell(redisAtOnce, at.clients))
	}
	fs.atLeast("Put, 64 clients, Tandem / net/rpc in two hops", 1.5, t.cell("tandem", 64), t.cell("echo2", 64))
	fs.atLeast("Put, 64 clients on one connection, Tandem / net/rpc in two hops", 1.5, t.cell("tandem-shared", 64), t.cell("echo2-shared", 64))
	fs.atLeast("Put, 64 clients, Tandem / etcd", 12, t.cell("tandem", 64), t.cell("etcd", 64))
	full := t.cell("tandem-shared", 256)
	fs.atLeast("Put, 256 in flight on one connection, Tandem / the best of Redis with SET and WAIT 1", 1.5, full, t.peak(redisAtOnce, redisTrips))
	fs.atLeast("Put, 256 in flight on one connection, Tandem / Redis, many SET, one WAIT 1", 0, full, t.cell("redis-wait-batched", 256))
}

func (fs *figures) gets(t *table) {
	for _, with := range []struct{ id, text string }{{"", "64 clients"}, {"-shared", "64 clients on one connection"}} {
		echo := t.cell("echo1"+with.id, 64)
		fs.atLeast("Get, "+with.text+", Tandem / net/rpc in one hop", 0.9, t.cell("tandem"+with.id, 64), echo)
		fs.atLeast("Get, "+with.text+", Tandem with leases / net/rpc in one hop", 1.1, t.cell("tandem-lease"+with.id, 64), echo)
		fs.atLeast("Get, "+with.text+", Tandem / etcd, linearizable", 10, t.cell("tandem"+with.id, 64), t.cell("etcd"+with.id, 64))
	}
}

func (fs *figures) latencies(o *openLoop) {
	a := o.find("tandem")
	for _, with := range []struct{ id, text string }{{redisAtOnce, "Redis SET, WAIT 1 at once"}, {redisTrips, "Redis SET, then WAIT 1"}} {
		if b := o.find(with.id); a != nil && b != nil {
			p99 := func(s sample) float64 { return milliseconds(s.P99) }
			*fs = append(*fs, &figure{
				Text: "99th percentile of Put at a fixed rate, Tandem / " + with.text, Aim: 1,
				Value: ratioOf(a.Samples, b.Samples, p99),
			})
		}
	}
}

func (fs *figures) gaps(f *failover) {
	t := f.find("tandem")
	if t == nil {
		return
	}
	fs.atMost("failover of Tandem, median of the longest gaps, ms", 50, t.Gap.Median)
	fs.atMost("failover of Tandem, the worst of the longest gaps, ms", 250, t.Gap.Max)
	for _, with := range []struct{ id, text string }{{"etcd", "etcd"}, {"redis-sentinel", "Redis with Sentinel"}} {
		if r := f.find(with.id); r != nil {
			fs.atMost("failover, median of the longest gaps, Tandem / "+with.text, 0, t.Gap.Median/r.Gap.Median)
		}
	}
}
