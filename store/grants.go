package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Grant is what kvit's role needs on a table, beside reading it.
type Grant struct {
	Table  string   // "schema.table"
	Update []string // columns
	Delete bool
}

// ExecuteStatements are the statements that let a role execute functions, each named with the types of its arguments.
func ExecuteStatements(role string, functions []string) []string {
	var statements []string
	for _, f := range functions {
		statements = append(statements, "grant execute on function "+f+" to "+QuoteColumn(role)+";")
	}
	return statements
}

// GrantStatements are the statements that give a role these rights, and the use of the tables' schemas.
func GrantStatements(role string, grants []Grant) []string {
	to := " to " + QuoteColumn(role) + ";"
	var schemas, statements []string
	for _, g := range grants {
		schema, _, _ := strings.Cut(g.Table, ".")
		if !slices.Contains(schemas, schema) {
			schemas = append(schemas, schema)
		}
		rights := "select"
		if len(g.Update) > 0 {
			quoted := make([]string, len(g.Update))
			for i, column := range g.Update {
				quoted[i] = QuoteColumn(column)
			}
			rights += ", update (" + strings.Join(quoted, ", ") + ")"
		}
		if g.Delete {
			rights += ", delete"
		}
		statements = append(statements, "grant "+rights+" on "+QuoteTable(g.Table)+to)
	}
	slices.Sort(schemas)
	var usage []string
	for _, schema := range schemas {
		usage = append(usage, "grant usage on schema "+QuoteColumn(schema)+to)
	}
	return append(usage, statements...)
}

// CurrentRole is the role by which the database knows kvit.
func CurrentRole(ctx context.Context, db DB) (string, error) {
	var role string
	if err := db.QueryRow(ctx, `select current_user::text`).Scan(&role); err != nil {
		return "", fmt.Errorf("read role: %w", err)
	}
	return role, nil
}
