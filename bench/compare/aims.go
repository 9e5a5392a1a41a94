package main

// ratio is one of the comparisons that matter: so many times as much as another. It is
// taken for each round by itself, since what else happens on the machine then meets both
// sides.
type ratio struct {
	Text   string  `json:"text"`
	Over   bool    `json:"over"` // the aim is a ratio of at least Aim; else of at most
	Aim    float64 `json:"aim"`
	Rounds spread  `json:"ratio"`
}

// met reports whether the median is as it should be.
func (r *ratio) met() bool {
	if r.Over {
		return r.Rounds.Median >= r.Aim
	}
	return r.Rounds.Median <= r.Aim
}

// ratios collects those of which both sides were measured.
type ratios []*ratio

// rates compares two cells.
func (rs *ratios) rates(text string, aim float64, a, b *cell) {
	if a == nil || b == nil {
		return
	}
	var each []float64
	for i := range min(len(a.Samples), len(b.Samples)) {
		if b.Samples[i].PerSecond > 0 {
			each = append(each, a.Samples[i].PerSecond/b.Samples[i].PerSecond)
		}
	}
	*rs = append(*rs, &ratio{Text: text, Over: true, Aim: aim, Rounds: spreadOf(each)})
}

// compareAll makes the ratios of a report.
func compareAll(r *report) ratios {
	var rs ratios
	rs.puts(r.table(partPut))
	rs.gets(r.table(partGet))
	rs.latencies(r.Open)
	if t := r.Failover.find("tandem"); t != nil {
		if etcd := r.Failover.find("etcd"); etcd != nil {
			rs.value("failover, longest gap, Tandem / etcd", 1, t.Gap.Median/etcd.Gap.Median)
		}
		if redis := r.Failover.find("redis-sentinel"); redis != nil {
			rs.value("failover, longest gap, Tandem / Redis with Sentinel", 1, t.Gap.Median/redis.Gap.Median)
		}
	}
	if t, redis := r.Memory.find("tandem"), r.Memory.find("redis"); t != nil && redis != nil {
		rs.value("memory at rest, Tandem's primary / Redis's", 1.5, float64(t.Rest)/float64(redis.Rest))
	}
	return rs
}

// value adds a ratio of two medians, which should be small.
func (rs *ratios) value(text string, aim, v float64) {
	*rs = append(*rs, &ratio{Text: text, Aim: aim, Rounds: spread{v, v, v}})
}

func (rs *ratios) puts(t *table) {
	const redis, trips = "redis-wait", "redis-wait-trips"
	for _, at := range []struct {
		clients int
		text    string
		aim     float64
	}{{64, "64", 1.25}, {16, "16", 1}, {1, "1", 0.95}} {
		tandem := t.cell("tandem", at.clients)
		rs.rates("Put, "+at.text+" clients, Tandem / Redis SET, then WAIT 1", at.aim, tandem, t.cell(trips, at.clients))
		rs.rates("Put, "+at.text+" clients, Tandem / Redis SET, WAIT 1 at once", at.aim, tandem, t.cell(redis, at.clients))
	}
	rs.rates("Put, 64 clients, Tandem / net/rpc in two hops", 1.5, t.cell("tandem", 64), t.cell("echo2", 64))
	rs.rates("Put, 64 clients on one connection, Tandem / net/rpc in two hops", 1.5, t.cell("tandem-shared", 64), t.cell("echo2-shared", 64))
	rs.rates("Put, 64 clients, Tandem / etcd", 12, t.cell("tandem", 64), t.cell("etcd", 64))
	rs.rates("Put, 256 in flight on one connection, Tandem / the best of Redis with SET and WAIT 1", 1.5,
		t.cell("tandem-shared", 256), t.peak(redis, trips))
}

func (rs *ratios) gets(t *table) {
	for _, with := range []struct{ id, text string }{{"", "64 clients"}, {"-shared", "64 clients on one connection"}} {
		echo := t.cell("echo1"+with.id, 64)
		rs.rates("Get, "+with.text+", Tandem / net/rpc in one hop", 0.9, t.cell("tandem"+with.id, 64), echo)
		rs.rates("Get, "+with.text+", Tandem with leases / net/rpc in one hop", 1.1, t.cell("tandem-lease"+with.id, 64), echo)
	}
	rs.rates("Get, 64 clients, Tandem / etcd, linearizable", 10, t.cell("tandem", 64), t.cell("etcd", 64))
}

func (rs *ratios) latencies(o *openLoop) {
	a := o.find("tandem")
	for _, with := range []struct{ id, text string }{{"redis-wait", "Redis SET, WAIT 1 at once"}, {"redis-wait-trips", "Redis SET, then WAIT 1"}} {
		b := o.find(with.id)
		if a == nil || b == nil {
			continue
		}
		var each []float64
		for i := range min(len(a.Samples), len(b.Samples)) {
			if b.Samples[i].P99 > 0 {
				each = append(each, milliseconds(a.Samples[i].P99)/milliseconds(b.Samples[i].P99))
			}
		}
		*rs = append(*rs, &ratio{Text: "99th percentile of Put at a fixed rate, Tandem / " + with.text, Aim: 1, Rounds: spreadOf(each)})
	}
}
