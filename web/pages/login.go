package pages

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"

	"kvit/store"
	"kvit/web/access"
)

//go:embed static
var static embed.FS

func (s *Site) accessRoutes() {
	s.public("GET /login", s.loginPage)
	s.add(Route{Pattern: "POST /login", Role: access.Nobody}, s.login)
	s.add(Route{Pattern: "POST /logout", Role: access.Read}, s.logout)
	s.public("GET /static/{name}", s.static)
	s.read("GET /audit", s.auditPage)
	s.read("GET /audit.csv", s.auditFile)
}

type loginForm struct {
	Name, To, Problem string
}

func (s *Site) loginPage(w http.ResponseWriter, r *http.Request) error {
	to := ownPath(r.FormValue("to"))
	if access.UserOf(r.Context()).LoggedIn() {
		return s.see(w, r, to)
	}
	return s.render(w, r, "login", loginForm{To: to})
}

func (s *Site) login(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return refuse(http.StatusBadRequest, "That form could not be read.")
	}
	form := loginForm{Name: r.PostForm.Get("name"), To: ownPath(r.PostForm.Get("to"))}
	err := s.Guard.Login(r, form.Name, r.PostForm.Get("password"))
	switch {
	case errors.Is(err, access.ErrThrottled):
		form.Problem = "Too many logins from your address. Wait a minute, then try again."
		s.renderStatus(w, r, http.StatusTooManyRequests, "login", form)
		return nil
	case errors.Is(err, access.ErrWrong):
		form.Problem = "Name or password are wrong."
		s.renderStatus(w, r, http.StatusUnauthorized, "login", form)
		return nil
	case err != nil:
		return err
	}
	return s.see(w, r, form.To)
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

// auditShown is how many entries the page shows.
const auditShown = 200

func (s *Site) auditPage(w http.ResponseWriter, r *http.Request) error {
	entries, err := store.LastAudited(r.Context(), s.Pool, auditShown)
	if err != nil {
		return err
	}
	return s.render(w, r, "audit", entries)
}

// auditFile is the same list.
func (s *Site) auditFile(w http.ResponseWriter, r *http.Request) error {
	entries, err := store.LastAudited(r.Context(), s.Pool, auditShown)
	if err != nil {
		return err
	}
	return writeFile(w, "audit", []string{"at", "who", "action", "subject", "reason"}, entries, func(e store.Audited) []string {
		return []string{csvTime(e.At), e.Who, e.Action, e.Subject, e.Reason}
	})
}
