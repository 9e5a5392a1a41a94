package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// unstamped is the version that the go command gives a module whose own it was not
// told.
const unstamped = "(devel)"

// build is what the binary knows of how it came to be. What it was not told is empty.
type build struct {
	Version  string `json:"version"`  // of the module
	Revision string `json:"revision"` // of its source
	Time     string `json:"time"`     // of the revision, as in RFC 3339
	Modified bool   `json:"modified"` // the source had changes that are in no revision
	Go       string `json:"go"`
	Platform string `json:"platform"` // operating system and architecture
}

// thisBuild returns what is known of this binary.
func thisBuild() build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{GoVersion: runtime.Version()}
	}
	return newBuild(info)
}

// newBuild returns what the go command has written into a binary.
func newBuild(info *debug.BuildInfo) build {
	b := build{Go: info.GoVersion, Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info.Main.Version != unstamped {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// name returns the version, or that there is none.
func (b *build) name() string {
	if b.Version == "" {
		return "of no version"
	}
	return b.Version
}

// source returns what is known of the source.
func (b *build) source() string {
	switch {
	case b.Revision == "" && b.Version == "":
		return "unknown: built from a source tree, and not told which (as by go run, or with -buildvcs=false)"
	case b.Revision == "":
		return "unknown: built from the module of that version"
	}
	s := b.Revision
	if b.Time != "" {
		s += " of " + b.Time
	}
	if b.Modified {
		s += ", and changes that are in no revision"
	}
	return s
}

// line returns it all in one line, without the command's name.
func (b *build) line() string {
	parts := []string{b.Go, b.Platform}
	if b.Revision != "" && !strings.Contains(b.Version, b.Revision[:min(12, len(b.Revision))]) {
		parts = append([]string{"revision " + b.Revision}, parts...)
	}
	return b.name() + " (" + strings.Join(parts, ", ") + ")"
}

// write tells it to a person.
func (b *build) write(w io.Writer) error {
	_, err := fmt.Fprintf(w, "tandem %s\nrevision  %s\nbuilt by  %s\nfor       %s\n", b.name(), b.source(), b.Go, b.Platform)
	return err
}

func newVersionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Tell what this command is built from",
		Long: `Version prints the module's version, the revision of its source and whether there
were changes on top of it, and the Go and the platform that it was built with and for.
The go command writes them into the binary: go build does if it finds the source under
version control, go install of a given version knows that version, and go run says
nothing.

With --json it is one object with version, revision, time (of the revision), modified,
go and platform; what is not known is empty.

Exit status: 0, or 64 for usage.`,
		Example: `  tandem version
  tandem version --json
  tandem --version      # in one line`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := thisBuild()
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), &b)
			}
			return b.write(cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "tell the answer as one JSON object")
	return cmd
}

// addVersionFlag gives the root command its flag --version. Cobra would give it the
// shorthand -v, too.
func addVersionFlag(root *cobra.Command) {
	b := thisBuild()
	root.Version = b.line()
	root.SetVersionTemplate("tandem {{.Version}}\n")
	root.Flags().Bool(versionFlag, false, "tell the version, in one line")
}

// versionFlag is the name under which cobra looks for that flag.
const versionFlag = "version"
