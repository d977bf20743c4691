package status

import (
	"fmt"
	"strconv"
	"strings"
)

//go:generate go test -run TestRules -update

// Rules is the file of Prometheus's alerting rules, deploy/prometheus/rules.yaml.
func Rules() string {
	var b strings.Builder
	b.WriteString("# Made from status/kinds.go by `go generate ./status`: change it there.\ngroups:\n  - name: kvit\n    rules:\n")
	for _, k := range Kinds {
		fmt.Fprintf(&b, "      - alert: %s\n        expr: %s\n", k.Name, quoted(k.Expr))
		if k.For > 0 {
			fmt.Fprintf(&b, "        for: %s\n", fmt.Sprintf("%dm", int(k.For.Minutes())))
		}
		fmt.Fprintf(&b, "        labels:\n          severity: %s\n        annotations:\n", k.Severity)
		fmt.Fprintf(&b, "          summary: %s\n          description: %s\n          runbook: %s\n",
			quoted(k.Means), quoted(k.Rest(k.subjectLabel())), quoted(Manual+"#"+k.Anchor()))
	}
	return b.String()
}

// subjectLabel is how an annotation names the subject.
func (k Kind) subjectLabel() string {
	if k.Label == "" {
		return "{{ $labels.subject }}"
	}
	return "{{ $labels." + k.Label + " }}"
}

// quoted is a YAML string; JSON's are.
func quoted(s string) string { return strconv.Quote(s) }
