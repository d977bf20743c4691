package erasure

import (
	"context"
	"fmt"

	"kvit/erasure/policy"
	"kvit/store"
)

// Leaks tells, table by table, what may keep copies of rows that are erased: it works all the same, but somebody has
// to look. What is about no table comes last, without one.
func (e *Eraser) Leaks(ctx context.Context) ([]policy.Problem, error) {
	found, err := store.Leaks(ctx, e.DB, append(e.Policy.Erased(), e.cartTables()...))
	if err != nil {
		return nil, err
	}
	var about, alone []policy.Problem
	for _, leak := range found {
		problem := policy.Problem{Table: leak.Table, Problem: leakText(leak)}
		if leak.Table == "" {
			alone = append(alone, problem)
			continue
		}
		about = append(about, problem)
	}
	return append(about, alone...), nil
}

func leakText(l store.Leak) string {
	switch l.Kind {
	case store.LeakTrigger:
		return fmt.Sprintf("has the trigger %s (function %s), which runs when kvit erases, with kvit's rights, and may write the old row elsewhere: "+
			"let it skip kvit's role, or name the table that it writes to in the policy", l.Name, l.Detail)
	case store.LeakRule:
		return fmt.Sprintf("has the rule %s, which changes what kvit's statements do, or copies rows: make it a trigger, or drop it", l.Name)
	case store.LeakMaterialized:
		return fmt.Sprintf("is read by the materialized view %s, which keeps copies until it is refreshed: refresh it after each erasure, or leave personal columns out", l.Name)
	case store.LeakPublication:
		return fmt.Sprintf("is in the publication %s: subscribers have copies; make sure that updates and deletions arrive there, or leave personal columns out", l.Name)
	case store.LeakSlot:
		return fmt.Sprintf("the logical replication slot %s (%s) sends changes of tables elsewhere: whoever reads it has copies, which need an erasure of their own", l.Name, l.Detail)
	case store.LeakForeign:
		return fmt.Sprintf("has rows in the foreign table %s, in another database: make sure that they are erased there, and not only hidden", l.Name)
	case store.LeakChild:
		return fmt.Sprintf("is inherited by %s, whose own columns the policy does not reach: name that table, too, for %s", l.Name, l.Detail)
	}
	return fmt.Sprintf("is a part of %s, whose other parts this policy does not reach: name %s instead", l.Name, l.Name)
}
