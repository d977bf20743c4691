package policy

import (
	"errors"
	"strings"

	"kvit/erasure/proof"
)

// planNode is a node of the tree that the paths of a JSON column make: a leaf with a strategy, an
// object's members, or an array's items. kvit.erase_json reads it.
type planNode struct {
	Strategy Strategy             `json:"strategy,omitempty"`
	Text     string               `json:"text,omitempty"`
	Unit     string               `json:"unit,omitempty"`
	Length   int                  `json:"length,omitempty"`
	Members  map[string]*planNode `json:"members,omitempty"`
	Items    *planNode            `json:"items,omitempty"`
}

// jsonPlan is the tree as JSON. Paths that do not fit, which Check tells, are left out: what no path
// names is removed.
func jsonPlan(paths []Column) []byte {
	root := &planNode{}
	for _, c := range paths {
		_ = root.add(c)
	}
	return proof.CanonicalJSON(root)
}

var (
	errPath     = errors.New("is no path as in items[].sku")
	errConflict = errors.New("does not go together with another path, which takes the same value for something else")
)

// add grows the tree by one path.
func (n *planNode) add(c Column) error {
	steps, ok := pathSteps(c.Name)
	if !ok {
		return errPath
	}
	for _, step := range steps {
		next := n.step(step)
		if next == nil {
			return errConflict
		}
		n = next
	}
	if n.Strategy != "" || n.Members != nil || n.Items != nil {
		return errConflict
	}
	n.Strategy, n.Text, n.Unit, n.Length = c.Strategy, c.Text, c.Unit, c.Length
	return nil
}

// step is the node below, made if need be; nil if this one is something else already. The empty step
// is an array's items.
func (n *planNode) step(name string) *planNode {
	switch {
	case n.Strategy != "":
		return nil
	case name == "":
		if n.Members != nil {
			return nil
		}
		if n.Items == nil {
			n.Items = &planNode{}
		}
		return n.Items
	case n.Items != nil:
		return nil
	}
	if n.Members == nil {
		n.Members = map[string]*planNode{}
	}
	if n.Members[name] == nil {
		n.Members[name] = &planNode{}
	}
	return n.Members[name]
}

// pathSteps takes a path apart: "items[].sku" is items, the empty step, sku. "[]" may stand first, for
// a document that is an array.
func pathSteps(path string) (steps []string, ok bool) {
	for i, part := range strings.Split(path, ".") {
		name := strings.TrimRight(part, "[]")
		arrays := part[len(name):]
		if name == "" && (i > 0 || arrays == "") || strings.ContainsAny(name, "[]\x00") {
			return nil, false
		}
		if strings.ReplaceAll(arrays, "[]", "") != "" {
			return nil, false
		}
		if name != "" {
			steps = append(steps, name)
		}
		for range len(arrays) / 2 {
			steps = append(steps, "")
		}
	}
	return steps, len(steps) <= maxSteps
}

// maxSteps bounds how deep kvit.erase_json goes.
const maxSteps = 32
