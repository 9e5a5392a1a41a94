package simulation

import (
	"fmt"
	"strings"
)

// Faults says how often things go wrong. Each rate is independent of the others,
// and zero is never; a kind of fault strikes with every other at rate zero, too.
type Faults struct {
	// Shares of the messages sent.
	Drop, Duplicate, Delay, Reorder float64
	// CutTransfer is the share of a transfer's offers and chunks at which it is cut
	// short.
	CutTransfer float64
	// Shares of the records that a disk is given.
	SlowDisk, SlowViewDisk float64

	// Chances in every 10 ms of virtual time, of which all others come.
	Ghost            float64
	CutOneWay        float64
	CutTwoWay        float64
	SlowLink         float64
	Crash            float64
	Restart          float64
	ClientCrash      float64
	Freeze           float64
	Leave            float64
	ClockJump        float64
	ClockRate        float64
	ClockBeyondBound float64
	MonitorRestart   float64
	MonitorAmnesia   float64
	Suspect          float64
	Report           float64
	Resend           float64
	Abandon          float64
	Cancel           float64

	// DelayMillis is the most that a delayed message is late; zero is 100.
	DelayMillis int64
	// LastMillis is the most that a cut, a freeze or an absence lasts; zero is 500.
	LastMillis int64
	// Merciful faults leave a member of the in-sync set its memory.
	Merciful bool
}

// FaultKind is a kind of fault as people name it.
type FaultKind struct {
	Name  string
	About string // in a line
}

// fault is a kind of fault. It is its own Count, too.
type fault = Count

// faultKind is what is known of a kind of fault.
type faultKind struct {
	FaultKind
	rate  func(*Faults) *float64
	usual float64 // the rate if one is asked for and none is given
	node  bool    // it concerns whole nodes, not single messages
	rare  bool    // it is struck only if asked for
}

// faultKinds has the kinds of fault by their numbers.
var faultKinds = [numFaults]faultKind{
	Dropped:         {FaultKind{"drop", "a message is lost"}, func(f *Faults) *float64 { return &f.Drop }, 0.05, false, false},
	Duplicated:      {FaultKind{"duplicate", "a message arrives twice"}, func(f *Faults) *float64 { return &f.Duplicate }, 0.05, false, false},
	Delayed:         {FaultKind{"delay", "a message arrives late"}, func(f *Faults) *float64 { return &f.Delay }, 0.05, false, false},
	Reordered:       {FaultKind{"reorder", "a message overtakes others, or is overtaken"}, func(f *Faults) *float64 { return &f.Reorder }, 0.2, false, false},
	TransfersCut:    {FaultKind{"cut-transfer", "a transfer is cut half-way: the link breaks, or an end crashes"}, func(f *Faults) *float64 { return &f.CutTransfer }, 0.8, true, false},
	DiskLate:        {FaultKind{"slow-disk", "a server's disk takes long to confirm"}, func(f *Faults) *float64 { return &f.SlowDisk }, 0.05, true, false},
	ViewDiskLate:    {FaultKind{"slow-view-disk", "the view service's disk takes long to confirm"}, func(f *Faults) *float64 { return &f.SlowViewDisk }, 0.5, true, false},
	Ghosts:          {FaultKind{"ghost", "a message that was sent long ago arrives once more"}, func(f *Faults) *float64 { return &f.Ghost }, 0.1, false, false},
	CutsOneWay:      {FaultKind{"cut-one-way", "messages from one node to another stop passing for a while"}, func(f *Faults) *float64 { return &f.CutOneWay }, 0.02, true, false},
	CutsTwoWay:      {FaultKind{"cut-two-way", "a node is cut off from another, or from all, for a while"}, func(f *Faults) *float64 { return &f.CutTwoWay }, 0.02, true, false},
	SlowLinks:       {FaultKind{"slow-link", "messages between two nodes take long for a while"}, func(f *Faults) *float64 { return &f.SlowLink }, 0.02, true, false},
	Crashes:         {FaultKind{"crash", "a server loses its memory and stays away for long"}, func(f *Faults) *float64 { return &f.Crash }, 0.02, true, false},
	Restarts:        {FaultKind{"restart", "a server loses its memory and is back at once, under the same address"}, func(f *Faults) *float64 { return &f.Restart }, 0.02, true, false},
	ClientCrashes:   {FaultKind{"client-crash", "a client forgets what it was doing"}, func(f *Faults) *float64 { return &f.ClientCrash }, 0.02, true, false},
	Freezes:         {FaultKind{"freeze", "a process stops for a while, and goes on as if nothing had been"}, func(f *Faults) *float64 { return &f.Freeze }, 0.02, true, false},
	Leavings:        {FaultKind{"leave", "a server is asked to depart (rule V11)"}, func(f *Faults) *float64 { return &f.Leave }, 0.02, true, false},
	ClockJumps:      {FaultKind{"clock-jump", "a server's wall clock is set forward or back"}, func(f *Faults) *float64 { return &f.ClockJump }, 0.02, true, false},
	ClockRates:      {FaultKind{"clock-rate", "a node's clocks run fast or slow, its lease clock within the bound"}, func(f *Faults) *float64 { return &f.ClockRate }, 0.02, true, false},
	ClocksBeyond:    {FaultKind{"clock-beyond-bound", "a server's lease clock breaks its bound: leases promise nothing then"}, func(f *Faults) *float64 { return &f.ClockBeyondBound }, 0.02, true, true},
	MonitorRestarts: {FaultKind{"monitor-restart", "the view service crashes and comes back with what was durable"}, func(f *Faults) *float64 { return &f.MonitorRestart }, 0.02, true, false},
	MonitorAmnesias: {FaultKind{"monitor-amnesia", "the view service forgets all (rule V0); safety alone is judged then"}, func(f *Faults) *float64 { return &f.MonitorAmnesia }, 0.02, true, false},
	Hints:           {FaultKind{"suspect", "the view service suspects a server, rightly or not (rule V7)"}, func(f *Faults) *float64 { return &f.Suspect }, 0.02, true, false},
	Reports:         {FaultKind{"report", "a primary reports its backup, rightly or not (rule V8)"}, func(f *Faults) *float64 { return &f.Report }, 0.02, true, false},
	Resends:         {FaultKind{"resend", "a primary sends again what is unanswered"}, func(f *Faults) *float64 { return &f.Resend }, 0.05, true, false},
	Abandoned:       {FaultKind{"abandon", "a client's connections break under its calls"}, func(f *Faults) *float64 { return &f.Abandon }, 0.05, true, false},
	Cancelled:       {FaultKind{"cancel", "a client gives an operation up"}, func(f *Faults) *float64 { return &f.Cancel }, 0.02, true, false},
}

// FaultNames returns the kinds of fault there are, always in the same order.
func FaultNames() []FaultKind {
	var names []FaultKind
	for i := range faultKinds {
		names = append(names, faultKinds[i].FaultKind)
	}
	return names
}

// Only leaves the named kinds of fault and sets the rates of all others to zero.
// One that had rate zero is given its usual rate. An unknown name is an error, and
// changes nothing.
func (f *Faults) Only(names ...string) error {
	wanted, err := faultsNamed(names)
	if err != nil {
		return err
	}
	for k := range faultKinds {
		rate := faultKinds[k].rate(f)
		switch {
		case !wanted[k]:
			*rate = 0
		case *rate == 0:
			*rate = faultKinds[k].usual
		}
	}
	return nil
}

// Without sets the rates of the named kinds of fault to zero. An unknown name is
// an error, and changes nothing.
func (f *Faults) Without(names ...string) error {
	unwanted, err := faultsNamed(names)
	if err != nil {
		return err
	}
	for k := range faultKinds {
		if unwanted[k] {
			*faultKinds[k].rate(f) = 0
		}
	}
	return nil
}

func faultsNamed(names []string) (named [numFaults]bool, err error) {
	for _, name := range names {
		k, ok := faultNamed(name)
		if !ok {
			var all []string
			for _, kind := range faultKinds {
				all = append(all, kind.Name)
			}
			return named, fmt.Errorf("there is no fault %q; there are %s", name, strings.Join(all, ", "))
		}
		named[k] = true
	}
	return named, nil
}

func faultNamed(name string) (fault, bool) {
	for k := range faultKinds {
		if faultKinds[k].Name == name {
			return fault(k), true
		}
	}
	return 0, false
}

// rates returns the rate of each kind of fault.
func (f *Faults) rates() (rates [numFaults]float64) {
	for k := range faultKinds {
		rates[k] = *faultKinds[k].rate(f)
	}
	return rates
}
