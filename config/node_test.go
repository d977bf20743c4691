package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// nodeOf reads the key "a" of a mapping, and what is wrong with it.
func nodeOf(t *testing.T, text string, env map[string]string) (n Node, ok bool, problems []string) {
	t.Helper()
	root, err := document([]byte(text))
	require.NoError(t, err)
	r := newReader(func(name string) string { return env[name] })
	n, ok = r.open("", entry{line: 1, value: root}).Node("a")
	for _, p := range r.problems {
		problems = append(problems, strings.TrimPrefix((&Errors{Problems: []Problem{p}}).Error(), ":"))
	}
	return n, ok, problems
}

func TestNode(t *testing.T) {
	t.Parallel()
	n, ok, problems := nodeOf(t, "a:\n  text: \"x\"\n  number: 1.50\n  yes: true\n  env: ${NAME}\n  list: [x, {b: 2}]\n  long: |\n    y\n", map[string]string{"NAME": "value"})
	require.True(t, ok)
	require.Empty(t, problems)
	require.Equal(t, MappingShape, n.Shape)
	var shown []string
	for _, m := range n.Members {
		shown = append(shown, m.Name+"="+m.Text)
	}
	require.Equal(t, []string{"text=x", "number=1.50", "yes=true", "env=value", "list=", "long=y\n"}, shown, "in the order of the file")
	require.Equal(t, LiteralShape, n.Members[1].Shape)
	require.False(t, n.Members[0].Foreign)
	require.True(t, n.Members[3].Foreign)
	list, has := n.Member("list")
	require.True(t, has)
	require.Equal(t, []Shape{TextShape, MappingShape}, []Shape{list.Members[0].Shape, list.Members[1].Shape})
	_, has = n.Member("none")
	require.False(t, has)
	_, has = list.Member("")
	require.False(t, has)
	_, ok, problems = nodeOf(t, "b: 1\n", nil)
	require.False(t, ok)
	require.Empty(t, problems)
}

func TestNodeMistakes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"a: {customer.email}\n":           {"1: a: must be in quotes if it begins with {"},
		"a: {}\n":                         {"1: a: is an empty mapping: leave the key out instead"},
		"a: []\n":                         {"1: a: is an empty list: leave the key out instead"},
		"a:\n":                            {"1: a: has no value"},
		"a: \"\"\n":                       {"1: a: is empty"},
		"a:\n  b: 0x1F\n  c: x\n  c: y\n": {"2: a.b: must be a number as JSON has it, or text in quotes", "4: a.c: is written twice, first on line 3"},
		"a: [x, &y z]\n":                  {"1: a[1]: uses a YAML anchor, alias or tag, which are not supported: write the value itself"},
		"a: ${NONE}\n":                    {"1: a: the environment variable NONE is not set"},
		"a: x${NONE}\n":                   {"1: a: must be ${NAME} as a whole, or contain no ${"},
		"a: " + strings.Repeat("[", 17) + "1" + strings.Repeat("]", 17) + "\n": {"1: a" + strings.Repeat("[0]", 16) + ": is nested too deeply"},
	} {
		_, ok, problems := nodeOf(t, text, nil)
		require.ElementsMatch(t, want, problems, text)
		require.False(t, ok, text)
	}
}

func TestNodeOnly(t *testing.T) {
	t.Parallel()
	root, err := document([]byte("a: {each: x, valeu: y}\n"))
	require.NoError(t, err)
	r := newReader(func(string) string { return "" })
	n, ok := r.open("", entry{line: 1, value: root}).Node("a")
	require.True(t, ok)
	require.True(t, n.Only("each", "valeu"))
	require.False(t, n.Only("each", "value"))
	require.Equal(t, []Problem{{Line: 1, Key: "a.valeu", Problem: `is not a known key: did you mean "value"?`}}, r.problems)
}
