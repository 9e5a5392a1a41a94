package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// machine is where it was measured.
type machine struct {
	Processor string `json:"processor"`
	Cores     int    `json:"cores"`
	Memory    uint64 `json:"memory"` // bytes
	Kernel    string `json:"kernel"`
	System    string `json:"system"`
}

// thisMachine looks at this machine. What cannot be found out is left empty.
func thisMachine() machine {
	m := machine{
		Processor: field1("/proc/cpuinfo", "model name", ":"),
		Cores:     runtime.NumCPU(),
		System:    strings.Trim(field1("/etc/os-release", "PRETTY_NAME", "="), `"`),
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	m.Kernel = strings.TrimSpace(string(kernel))
	if fields := strings.Fields(field1("/proc/meminfo", "MemTotal", ":")); len(fields) > 0 {
		kib, _ := strconv.ParseUint(fields[0], 10, 64)
		m.Memory = kib << 10
	}
	return m
}

// field1 returns what a file says of a name, in its first line that does.
func field1(file, name, separator string) string {
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, separator); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// versions are those of what was measured, and with what.
type versions struct {
	Tandem string `json:"tandem"`
	Redis  string `json:"redis"`
	Etcd   string `json:"etcd"`
	Go     string `json:"go"`
	// Clients are the libraries of the other systems' clients.
	Clients []string `json:"clients"`
}

// readVersions asks the programs.
func readVersions(tandem string) versions {
	v := versions{
		Tandem: firstLine(tandem, "version"), Redis: firstLine("redis-server", "--version"),
		Etcd: firstLine("etcd", "--version"), Go: runtime.Version(),
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			switch dep.Path {
			case "github.com/gomodule/redigo", "go.etcd.io/etcd/client/v3":
				v.Clients = append(v.Clients, dep.Path+" "+dep.Version)
			}
		}
	}
	return v
}

// firstLine returns the first line that a command prints, or why it did not.
func firstLine(argv ...string) string {
	out, err := exec.Command(argv[0], argv[1:]...).Output()
	if err != nil {
		return err.Error()
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}

// idleCost returns how much of one processor some processes take while nobody uses them.
func idleCost(pids []int) (float64, error) {
	const look = time.Second
	before, err := ticks(pids)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	time.Sleep(look) // it is the time itself that is measured
	after, err := ticks(pids)
	return float64(after-before) / ticksPerSecond / time.Since(began).Seconds(), err
}

// ticksPerSecond is the kernel's unit of processor time, in which it shows it to
// programs on every architecture.
const ticksPerSecond = 100

// ticks returns the processor time that processes have used so far.
func ticks(pids []int) (uint64, error) {
	var all uint64
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, fmt.Errorf("look at the time of process %d: %w", pid, err)
		}
		_, rest, _ := strings.Cut(string(text), ") ") // after the program's name, which may hold anything
		fields := strings.Fields(rest)
		const user, system = 11, 12 // counted from the third field on
		if len(fields) <= system {
			return 0, fmt.Errorf("time of process %d: %q is too short", pid, text)
		}
		for _, f := range []string{fields[user], fields[system]} {
			n, err := strconv.ParseUint(f, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("time of process %d: %w", pid, err)
			}
			all += n
		}
	}
	return all, nil
}
