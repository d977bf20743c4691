package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"kvit/store"
)

func (a *app) subjectCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use: "subject export|erase|tasks|close", Short: "Answer a person who asks for their data, or for its erasure",
		Example: `  kvit subject export --email - --out person.json
  kvit subject erase --email - --reference TICKET-17 --by anna
  kvit subject tasks
  kvit subject close 3 --by anna --note 'asked by their form'`,
	})
	cmd.AddCommand(a.subjectExportCommand(), a.subjectEraseCommand(), a.subjectTasksCommand(), a.subjectCloseCommand())
	return cmd
}

// registerSubject adds the flags that say who is meant.
func registerSubject(cmd *cobra.Command, s *store.Subject) {
	cmd.Flags().StringVar(&s.Email, "email", "", "the person's e-mail address; - reads it from standard input, which no list of processes shows")
	cmd.Flags().StringVar(&s.CustomerID, "customer-id", "", "the shop's id of the customer; - reads it from standard input, after the address")
}

// longest is more than any e-mail address or customer id.
const longest = 1000

// readSubject completes the flags with what standard input says. No error repeats what was given.
func readSubject(in io.Reader, s *store.Subject) error {
	lines := bufio.NewReader(io.LimitReader(in, 2*longest))
	for _, value := range []*string{&s.Email, &s.CustomerID} {
		if *value == "-" {
			line, err := lines.ReadString('\n')
			if err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("read standard input: %w", err)
			}
			*value = line
			if strings.TrimSpace(line) == "" {
				return fmt.Errorf("%w: standard input does not say who is meant", errUsage)
			}
		}
		*value = strings.TrimSpace(*value)
	}
	switch {
	case s.Email == "" && s.CustomerID == "":
		return fmt.Errorf("%w: --email or --customer-id must be given", errUsage)
	case s.Email != "" && !strings.Contains(s.Email, "@"):
		return fmt.Errorf("%w: --email is no e-mail address", errUsage)
	case len(s.Email) > longest || len(s.CustomerID) > longest || strings.ContainsRune(s.Email+s.CustomerID, 0):
		return fmt.Errorf("%w: that is no e-mail address or customer id", errUsage)
	}
	return nil
}
