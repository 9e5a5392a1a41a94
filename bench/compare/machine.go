package main

import (
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
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
