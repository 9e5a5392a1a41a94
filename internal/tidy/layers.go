package tidy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A layer says what one package of this module may import, tests apart: which
// other packages of the module, and which from other modules. The standard
// library is open to all but the cores.
type layer struct {
	rooms   []string
	foreign []string
}

// layers has every package of the module, from the bottom up. A new package is
// put here by whoever makes it, which is the moment to ask where it stands.
var layers = map[string]layer{
	// The vocabulary, and the pieces that its compact encoding is made of.
	"internal/compact":             {},
	"internal/compact/compacttest": {foreign: []string{"github.com/stretchr/testify/require"}},
	".":                            {rooms: []string{"internal/compact"}},
	"internal/numbered":            {},

	// The cores. The store is a replica's machine, so it knows entries.
	"sysmonitor/view":   {rooms: []string{"."}},
	"kvservice/replica": {rooms: []string{".", "internal/compact"}},
	"kvservice/store":   {rooms: []string{".", "kvservice/replica"}},
	"kvservice/clerk":   {rooms: []string{".", "internal/numbered"}},

	// The world for the cores: no shell. What it leaves behind for people is drawn
	// and written beside it.
	"simulation/diagram":   {},
	"simulation/runfolder": {rooms: []string{"simulation", "simulation/diagram"}},
	"simulation": {
		rooms:   []string{".", "sysmonitor/view", "kvservice/replica", "kvservice/store", "kvservice/clerk", "simulation/diagram"},
		foreign: []string{"github.com/anishathalye/porcupine"},
	},

	// The model checker: every order of events, to a depth.
	"simulation/search": {rooms: []string{".", "sysmonitor/view", "kvservice/replica", "kvservice/store", "simulation/diagram"}},

	// Ways to break the cores, told as changes of text: it imports none of them.
	"simulation/mutants": {},

	// The shells, with the wire that they share.
	"internal/filelock": {},
	"internal/rpcnet":   {rooms: []string{".", "internal/filelock", "internal/numbered"}},
	"sysmonitor":        {rooms: []string{".", "sysmonitor/view", "internal/filelock", "internal/rpcnet"}},
	"kvservice": {rooms: []string{".", "internal/compact", "kvservice/replica", "kvservice/store", "kvservice/clerk",
		"sysmonitor", "internal/rpcnet", "internal/numbered"}},

	// Processes of the binary, and a network between them.
	"internal/pause":   {},
	"internal/cluster": {rooms: []string{".", "sysmonitor", "internal/pause"}, foreign: []string{"github.com/pelletier/go-toml/v2"}},
	"internal/paths":   {},

	// Above the shells.
	"internal/workload": {
		rooms:   []string{".", "kvservice", "simulation"},
		foreign: []string{"github.com/anishathalye/porcupine"},
	},
	"internal/bench": {
		rooms:   []string{".", "kvservice", "internal/pause"},
		foreign: []string{"github.com/HdrHistogram/hdrhistogram-go"},
	},
	"internal/bench/chart": {},
	"internal/drill":       {rooms: []string{"sysmonitor", "kvservice", "internal/bench", "internal/cluster", "internal/pause"}},
	"internal/torture":     {rooms: []string{".", "sysmonitor", "kvservice", "internal/cluster", "internal/paths", "internal/workload"}},
	"main":                 {rooms: []string{".", "sysmonitor", "kvservice"}},
	"cmd/tandem": {
		rooms: []string{".", "sysmonitor", "kvservice", "internal/bench", "internal/bench/chart", "internal/cluster", "internal/drill", "internal/pause", "internal/torture", "internal/workload",
			"simulation", "simulation/search", "simulation/diagram", "simulation/runfolder", "simulation/mutants"},
		foreign: []string{"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/peterh/liner"},
	},

	// Beside the house.
	"cmd/tandem/endtoend": {},
	"internal/tidy":       {},
}

// misplaced returns which of this module's packages import what they must not.
func misplaced(packages map[string]*listed, layers map[string]layer) []string {
	var lines []string
	for _, path := range slices.Sorted(maps.Keys(packages)) {
		p := packages[path]
		if !p.ours() {
			continue
		}
		l, ok := layers[p.room()]
		if !ok {
			lines = append(lines, fmt.Sprintf("%s stands in no layer: say in internal/tidy/layers.go what it may import", p.room()))
			continue
		}
		for _, path := range p.Imports {
			imported := packages[path]
			switch {
			case imported == nil || imported.Standard:
			case imported.ours():
				if !slices.Contains(l.rooms, imported.room()) {
					lines = append(lines, fmt.Sprintf("%s must not import %s, which does not stand below it", p.room(), imported.room()))
				}
			case !slices.Contains(l.foreign, path):
				lines = append(lines, fmt.Sprintf("%s must not import %s outside of its tests", p.room(), path))
			}
		}
	}
	return lines
}

// userModules returns the paths of the modules, this one apart, that a program
// gets to build when it imports a package.
func userModules(packages map[string]*listed, path string) []string {
	seen := make(map[string]bool)
	for _, dep := range packages[path].Deps {
		if p := packages[dep]; p != nil && p.Module != nil && !p.ours() {
			seen[p.Module.Path] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// hidden returns the files of a package that the checks do not read: those that
// the build leaves out here and may not elsewhere, and those that are not Go.
func hidden(p *listed) string {
	return strings.Join(slices.Concat(p.IgnoredGoFiles, p.CgoFiles, p.CFiles, p.SFiles, p.SysoFiles), " ")
}
