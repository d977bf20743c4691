// Package access decides who may see kvit's pages, and who may act there: users of the configuration, their sessions in the
// database, and the rules by which a request is refused before any page sees it.
package access

import "context"

// Role is what a user may do.
type Role int

// Roles, each with all that those before it may.
const (
	Nobody  Role = iota // not logged in
	Read                // sees every page, and no button
	Operate             // acts, too
)

// String is the role as the configuration has it.
func (r Role) String() string {
	switch r {
	case Read:
		return "read"
	case Operate:
		return "operate"
	default:
		return "nobody"
	}
}

// User is who sent a request; the zero value is nobody.
type User struct {
	Name string
	Role Role
}

// MayOperate tells whether the user may act: pages show buttons to these alone.
func (u User) MayOperate() bool { return u.Role >= Operate }

// LoggedIn tells whether it is anybody at all.
func (u User) LoggedIn() bool { return u.Role > Nobody }

type userKey struct{}

// UserOf is who sent the request of the context; the zero User if nobody has logged in.
func UserOf(ctx context.Context) User {
	u, _ := ctx.Value(userKey{}).(User)
	return u
}

// WithUser is for tests of pages: a context in which the user has logged in.
func WithUser(ctx context.Context, u User) context.Context {
	return context.WithValue(ctx, userKey{}, u)
}
