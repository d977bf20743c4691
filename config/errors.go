package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one mistake in the file. It never holds the value of a key.
type Problem struct {
	Line    int    // from 1
	Key     string // dotted path as in destinations.crm.url; empty if it concerns the whole file
	Problem string // what is wrong: "is missing"
}

// Errors is the error of Load and Parse: every mistake of one file, sorted by line.
type Errors struct {
	File     string
	Problems []Problem
}

// Error gives each mistake a line of the form "kvit.yaml:12: destinations.crm.url: is missing".
func (e *Errors) Error() string {
	lines := make([]string, 0, len(e.Problems))
	for _, p := range e.Problems {
		text := p.Problem
		if p.Key != "" {
			text = p.Key + ": " + text
		}
		lines = append(lines, fmt.Sprintf("%s:%d: %s", e.File, p.Line, text))
	}
	return strings.Join(lines, "\n")
}

func newErrors(file string, problems []Problem) *Errors {
	slices.SortStableFunc(problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return &Errors{File: file, Problems: problems}
}
