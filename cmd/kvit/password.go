package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/term"
)

const (
	passwordLeast = 12 // characters
	passwordMost  = 72 // bytes: bcrypt takes no more
	passwordCost  = 12 // a guess takes a quarter of a second
)

func (a *app) passwordCommand() *cobra.Command {
	return &cobra.Command{
		Use: "password", Short: "Make the hash of a password for ops.users",
		Long: `Asks for a password, or reads one line from standard input, and prints its bcrypt hash for password_hash of a user in ops.users.
The hash belongs into the environment or a file, not into kvit.yaml.`,
		Example: "  kvit password\n  pass show kvit/anna | kvit password > /etc/kvit/anna.hash",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			password, err := a.askPassword(cmd.InOrStdin())
			if err != nil {
				return err
			}
			hash, err := bcrypt.GenerateFromPassword([]byte(password), passwordCost)
			if err != nil {
				return fmt.Errorf("hash the password: %w", err)
			}
			_, err = fmt.Fprintln(a.stdout, string(hash))
			return err
		},
	}
}

func (a *app) askPassword(in io.Reader) (string, error) {
	password, err := a.readPassword(in)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	switch {
	case utf8.RuneCountInString(password) < passwordLeast:
		return "", fmt.Errorf("the password has less than %d characters", passwordLeast)
	case len(password) > passwordMost:
		return "", fmt.Errorf("the password has more than %d bytes", passwordMost)
	}
	return password, nil
}

// readPassword asks twice at a terminal, where nobody sees what is typed.
func (a *app) readPassword(in io.Reader) (string, error) {
	if file, ok := in.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		first, err := a.typed(file, "Password: ")
		if err != nil {
			return "", err
		}
		again, err := a.typed(file, "Once more: ")
		if err == nil && first != again {
			err = errors.New("the two differ")
		}
		return first, err
	}
	line, err := bufio.NewReader(io.LimitReader(in, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

func (a *app) typed(terminal *os.File, prompt string) (string, error) {
	fmt.Fprint(a.stderr, prompt)
	password, err := term.ReadPassword(int(terminal.Fd()))
	fmt.Fprintln(a.stderr)
	return string(password), err
}
