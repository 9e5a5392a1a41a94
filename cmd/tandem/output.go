package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// output is what every command that tells an answer has in common.
type output struct {
	json     bool
	progress bool
}

// addFlags adds the flags.
func (o *output) addFlags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.json, "json", false, "tell the answer as one JSON object")
	cmd.Flags().BoolVar(&o.progress, "progress", false, "tell on standard error how far it is, even if that is no terminal")
}

// writeJSON writes a value as one JSON object over several lines.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	return nil
}

// thousands writes a number with commas between groups of three digits.
func thousands(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// countOf returns a number of things in words: 1 argument, 2 arguments.
func countOf[N int | uint64](n N, thing string) string {
	if n == 1 {
		return fmt.Sprintf("1 %s", thing)
	}
	return fmt.Sprintf("%s %ss", thousands(uint64(n)), thing)
}
