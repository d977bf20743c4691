package pages

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"kvit/store"
	"kvit/web/access"
)

//go:embed static
var static embed.FS

func (s *Site) accessRoutes() {
	s.public("GET /login", s.loginPage)
	s.add(Route{Pattern: "POST /login", Role: access.Nobody}, s.login)
	s.add(Route{Pattern: "POST /logout", Role: access.Read}, s.logout)
	if host, _ := s.Guard.Issuer(); host != "" {
		s.public("GET "+access.OIDCPath, s.beginOIDC)
		s.public("GET "+access.OIDCCallback, s.endOIDC)
	}
	s.public("GET /static/{name}", s.static)
	s.read("GET /audit", s.auditPage)
	s.read("GET /audit.csv", s.auditFile)
}

type loginForm struct {
	Name, To, Problem string

	Passwords bool
	Issuer    string    // host of the provider of the other login; empty: there is none
	Away      time.Time // when it did not answer; zero: it does
	Begin     string    // the address that begins the other login
}

// renderLogin fills in which ways to log in there are.
func (s *Site) renderLogin(w http.ResponseWriter, r *http.Request, status int, form loginForm) {
	form.Passwords = s.Guard.HasPasswords()
	form.Issuer, form.Away = s.Guard.Issuer()
	form.Begin = access.OIDCPath + "?to=" + url.QueryEscape(form.To)
	s.renderStatus(w, r, status, "login", form)
}

func (s *Site) loginPage(w http.ResponseWriter, r *http.Request) error {
	to := ownPath(r.FormValue("to"))
	if access.UserOf(r.Context()).LoggedIn() {
		return s.see(w, r, to)
	}
	s.renderLogin(w, r, http.StatusOK, loginForm{To: to})
	return nil
}

func (s *Site) login(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return refuse(http.StatusBadRequest, "That form could not be read.")
	}
	form := loginForm{Name: r.PostForm.Get("name"), To: ownPath(r.PostForm.Get("to"))}
	if err := s.Guard.Login(r, form.Name, r.PostForm.Get("password")); err != nil {
		return s.loginFailed(w, r, form, err)
	}
	return s.see(w, r, form.To)
}

// loginFailed shows the login again, with what was wrong.
func (s *Site) loginFailed(w http.ResponseWriter, r *http.Request, form loginForm, err error) error {
	var refused *access.RefusedError
	status := http.StatusUnauthorized
	switch {
	case errors.Is(err, access.ErrThrottled):
		status, form.Problem = http.StatusTooManyRequests, "Too many logins from your address. Wait a minute, then try again."
	case errors.Is(err, access.ErrWrong):
		form.Problem = "Name or password are wrong."
	case errors.Is(err, access.ErrIssuerAway):
		status = http.StatusServiceUnavailable // the form says so by itself
	case errors.As(err, &refused):
		status, form.Problem = http.StatusForbidden, refused.Sentence
	default:
		return err
	}
	s.renderLogin(w, r, status, form)
	return nil
}

// beginOIDC sends the browser to the provider of the login. It is a link and no form: browsers follow no form to another site that
// the page's policy does not name.
func (s *Site) beginOIDC(w http.ResponseWriter, r *http.Request) error {
	to := ownPath(r.FormValue("to"))
	address, err := s.Guard.BeginOIDC(w, r, to)
	if err != nil {
		return s.loginFailed(w, r, loginForm{To: to}, err)
	}
	return s.see(w, r, address)
}

// endOIDC answers with a page instead of a redirect: the browser comes from another site, and shows its new session to no page
// that it was sent on to from there.
func (s *Site) endOIDC(w http.ResponseWriter, r *http.Request) error {
	to, err := s.Guard.EndOIDC(w, r)
	if err != nil {
		return s.loginFailed(w, r, loginForm{To: "/"}, err)
	}
	w.Header().Set("Refresh", "0; url="+to)
	return s.render(w, r, "entered", to)
}

func (s *Site) logout(w http.ResponseWriter, r *http.Request) error {
	if err := s.Guard.Logout(r.Context()); err != nil {
		return err
	}
	return s.see(w, r, "/login")
}

// ownPath is a path of this site to go on to; anything else becomes the first page.
func ownPath(to string) string {
	if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n\t") || strings.HasPrefix(to, "/login") {
		return "/"
	}
	return to
}

// static gives the stylesheet and the script. They are the same for everybody, so browsers may keep them, and ask whether they are
// still the same.
func (s *Site) static(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	data, err := fs.ReadFile(static, "static/"+name)
	if err != nil {
		return refuse(http.StatusNotFound, "There is no such file.")
	}
	sum := sha256.Sum256(data)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	_, _ = w.Write(data) //nolint:gosec // a file of this program
	return nil
}

// How many entries the page shows, and its file has.
const (
	auditShown = 200
	auditFiled = 10_000
)

// auditFile has more than the page.
func (s *Site) auditFile(w http.ResponseWriter, r *http.Request) error {
	entries, err := store.LastAudited(r.Context(), s.Pool, auditFiled)
	if err != nil {
		return err
	}
	return writeFile(w, "audit", []string{"at", "who", "action", "subject", "reason"}, entries, func(e store.AuditRecord) []string {
		return []string{csvTime(e.At), e.Who, e.Action, e.Subject, e.Reason}
	})
}

func (s *Site) auditPage(w http.ResponseWriter, r *http.Request) error {
	entries, err := store.LastAudited(r.Context(), s.Pool, auditShown)
	if err != nil {
		return err
	}
	return s.render(w, r, "audit", entries)
}
