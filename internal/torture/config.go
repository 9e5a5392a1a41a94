package torture

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The bounds of a Config.
const (
	ServersMin, ServersMax = 2, 9
	ClientsMin, ClientsMax = 3, 64
)

// Config says what to do.
type Config struct {
	Binary   string        // the tandem binary that the processes run
	Dir      string        // an existing directory for logs, data and what is left behind
	Duration time.Duration // how long there are faults, a little more or less
	Servers  int           // from ServersMin to ServersMax
	Clients  int           // that call at once, from ClientsMin to ClientsMax; the first only reads
	Seed     uint64        // of faults and operations
	Faults   []string      // names of the kinds of fault; empty: all

	// Progress, which may be nil, is told how far it is.
	Progress func(format string, args ...any)
}

// Check returns an error that says what is wrong with it.
func (c *Config) Check() error {
	switch {
	case c.Binary == "":
		return errors.New("no binary to run")
	case c.Duration <= 0:
		return fmt.Errorf("duration %v: must be more than nothing", c.Duration)
	case c.Servers < ServersMin || c.Servers > ServersMax:
		return fmt.Errorf("%d servers: must be from %d to %d", c.Servers, ServersMin, ServersMax)
	case c.Clients < ClientsMin || c.Clients > ClientsMax:
		return fmt.Errorf("%d clients: must be from %d to %d", c.Clients, ClientsMin, ClientsMax)
	}
	_, err := c.kinds()
	return err
}

// kinds returns the kinds of fault that are wanted.
func (c *Config) kinds() ([]*kind, error) {
	if len(c.Faults) == 0 {
		return allKinds, nil
	}
	var wanted []*kind
	for _, name := range c.Faults {
		i := slices.IndexFunc(allKinds, func(k *kind) bool { return k.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no fault %q: there are %s", name, strings.Join(kindNames(), ", "))
		}
		if !slices.Contains(wanted, allKinds[i]) {
			wanted = append(wanted, allKinds[i])
		}
	}
	return wanted, nil
}

func kindNames() []string {
	var names []string
	for _, k := range allKinds {
		names = append(names, k.name)
	}
	return names
}

// Fault is a kind of fault, for people.
type Fault struct{ Name, About string }

// Faults returns every kind of fault.
func Faults() []Fault {
	var list []Fault
	for _, k := range allKinds {
		list = append(list, Fault{k.name, k.about})
	}
	return list
}
