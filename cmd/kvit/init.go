package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kvit/shop"
	"kvit/shop/medusa"
	"kvit/shop/vendure"
	"kvit/store"
)

// shops are those that kvit init recognises.
var shops = []shop.Shop{vendure.Shop, medusa.Shop}

// The files that kvit init writes.
const (
	configFile = "kvit.yaml"
	eventsFile = "kvit-events.sql"
)

func (a *app) initCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: "init", Short: "Recognise the shop in the database, and write kvit.yaml and the triggers for it",
		Long: `Looks at the catalog of the database in $DATABASE_URL and, if it is a shop that kvit knows, writes a complete kvit.yaml and the SQL
that makes the shop's own tables insert the tracking events. It reads no row, changes nothing in the database, and overwrites no file.

Columns that the shop has besides its own, custom fields for instance, are left as review, which kvit check refuses until somebody
has decided.`,
		Example: "  DATABASE_URL=postgres://postgres@localhost/shop kvit init",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), 30*time.Second)
			defer cancel()
			catalog, err := a.catalog(ctx)
			if err != nil {
				return err
			}
			return a.writeShop(dir, catalog)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", ".", "folder to write the files to")
	return cmd
}

// catalog reads that of the database in $DATABASE_URL: there is no configuration yet.
func (a *app) catalog(ctx context.Context) (shop.Catalog, error) {
	url := a.getenv("DATABASE_URL")
	if url == "" {
		return nil, fmt.Errorf("%w: $DATABASE_URL is not set: it says where the shop's database is", errUsage)
	}
	pool, err := store.Open(ctx, store.Options{URL: url, MaxConnections: 1})
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	found, err := store.Catalog(ctx, pool)
	if err != nil {
		return nil, errors.New("read the shop's catalog: " + store.Describe(err))
	}
	return found, nil
}

func (a *app) writeShop(dir string, catalog shop.Catalog) error {
	found, ok := shop.Find(shops, catalog)
	if !ok {
		return errors.New(unknownShop(catalog))
	}
	config, review := found.Fit(catalog)
	for _, file := range []struct{ name, text string }{{configFile, config}, {eventsFile, found.Events}} {
		if err := writeNew(filepath.Join(dir, file.name), file.text); err != nil {
			return err
		}
	}
	fmt.Fprintf(a.stdout, "This is %s. Written: %s, %s (%s says what they do).\n", found.Name, configFile, eventsFile, found.Page)
	if len(review) > 0 {
		fmt.Fprintf(a.stdout, "To decide in %s, since %s does not have them by itself: %s\n", configFile, found.Name, strings.Join(review, ", "))
	}
	fmt.Fprint(a.stdout, `
Next, as in the README:
  1. kvit policy grants | psql    the rights that kvit's role needs, as the owner of the shop's tables
  2. kvit migrate up              kvit's own schema
  3. psql -v ON_ERROR_STOP=1 -f `+eventsFile+`    the triggers, as the owner of the shop's tables, who must be granted kvit_shop
  4. kvit check                   what is not right yet
  5. kvit erase --dry-run         what would be erased today
  6. kvit run
`)
	return nil
}

// unknownShop says what kvit does not know, and what to do about it.
func unknownShop(catalog shop.Catalog) string {
	names := make([]string, len(shops))
	for i, s := range shops {
		names[i] = s.Name
	}
	if len(catalog) == 0 {
		return "there is no table in this database, or none in schemas that this role may use: is $DATABASE_URL the shop's?"
	}
	what := "the database holds none of the shops that kvit knows (" + strings.Join(names, ", ") + ")"
	if stranger, ok := shop.Find(shop.Strangers, catalog); ok {
		what = "this looks like " + stranger.Name + ", for which kvit has neither a configuration nor triggers yet (it has them for " + strings.Join(names, ", ") + ")"
	}
	return what + `. Nothing was written. What to do instead, as for any shop:
  1. write ` + configFile + ` with database and shop.orders: kvit.example.yaml says how
  2. kvit policy draft            a first policy from the catalog, of which a person has to read every line
  3. docs/shop.md                 how the shop inserts its events; a trigger may do it, as in docs/shops
  4. kvit check                   what is not right yet`
}

// writeNew writes a file that is not there yet.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already: move it away first", path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
