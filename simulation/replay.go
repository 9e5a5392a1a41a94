package simulation

import (
	"fmt"
	"reflect"
	"strings"
)

// Replay returns the command that runs these options again. What differs from
// Draw's and has no flag, such as a Schedule, has to be read from a file: the
// Options as JSON, as a run folder has them.
func (o Options) Replay() string {
	var b strings.Builder
	fmt.Fprintf(&b, "go run ./cmd/tandem simulate --seed %d", o.Seed)
	like := Draw(o.Seed)
	for _, flag := range []struct {
		name  string
		is    int
		drawn *int
	}{{"servers", o.Servers, &like.Servers}, {"clients", o.Clients, &like.Clients}, {"keys", o.Keys, &like.Keys}, {"ops", o.Ops, &like.Ops}} {
		if flag.is != *flag.drawn {
			fmt.Fprintf(&b, " --%s %d", flag.name, flag.is)
			*flag.drawn = flag.is
		}
	}
	like.Limits.MaxSessions = o.Limits.MaxSessions // follows the clients
	if o.Faults != like.Faults {
		var names []string
		for k, rate := range o.Faults.rates() {
			if rate > 0 {
				names = append(names, faultKinds[k].Name)
			}
		}
		if like.Faults.Only(names...) == nil && len(names) > 0 {
			b.WriteString(" --faults " + strings.Join(names, ","))
		}
	}
	if !reflect.DeepEqual(o, like) {
		return "go run ./cmd/tandem simulate --options options.json"
	}
	return b.String()
}
