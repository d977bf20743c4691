package policy

import "slices"

// Spared are the paths of a table's rows that the policy means to stay although orders lead to them: those of ways
// that keep the rows, and those of ways with a condition, without it, since rows for which it is not true stay.
func (p Policy) Spared(table string) [][]Link {
	var list [][]Link
	for _, way := range p.ways(table) {
		for _, path := range p.paths(way) {
			switch {
			case way.KeepRows:
				list = append(list, path)
			case slices.ContainsFunc(path, func(l Link) bool { return l.When != "" }):
				list = append(list, unconditional(path))
			}
		}
	}
	return list
}

func unconditional(path []Link) []Link {
	path = slices.Clone(path)
	for i := range path {
		path[i].When = ""
	}
	return path
}
