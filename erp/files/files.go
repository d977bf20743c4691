// Package files reads receipts that somebody leaves in a folder, on this machine or by SFTP. A file is taken whole or not at
// all: what was read goes to done/, what cannot be read to bad/, with the reason beside it. What is still being written
// is left alone.
package files

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"kvit/erp"
)

// The folders that must be there: an unmounted share has none, and would else look like a folder without receipts.
const (
	doneFolder = "done"
	badFolder  = "bad"
)

// endings are those of the files that are read; everything else is left alone, names of files that are being written included.
var endings = []string{".csv", ".jsonl", ".ndjson"}

// entry is a file as a listing has it.
type entry struct {
	name    string
	size    int64
	changed time.Time
}

// folder is where files lie. Names have no slash but that of done and bad.
type folder interface {
	list() ([]entry, error)                              // regular files alone
	read(name string, most int64) ([]byte, entry, error) // at most so many bytes, and how the file is now
	exists(name string) (bool, error)
	isFolder(name string) (bool, error)
	rename(name, to string) error // never over a file that is there
	write(name string, data []byte) error
	close()
}

// Inbox is an open connector: an erp.Inbox.
type Inbox struct {
	options Options
	open    func(ctx context.Context) (folder, error)
	meter   *erp.Meter
	now     func() time.Time
	seen    map[string]sighting // files that were not taken yet
}

// sighting is since when a file has looked like this.
type sighting struct {
	entry entry
	since time.Time
}

// Traits are of little meaning here. Whether a file tells lines and totals is up to who writes it.
func (*Inbox) Traits() erp.Traits { return erp.Traits{Exact: true, Lines: true, Total: true} }

// Probe shows that the folder is there with done/ and bad/ in it, and can be read.
func (in *Inbox) Probe(ctx context.Context) (erp.Proof, error) {
	f, err := in.enter(ctx)
	if err != nil {
		return erp.Proof{}, err
	}
	defer f.close()
	waiting, err := f.list()
	if err != nil {
		return erp.Proof{}, failed(err)
	}
	return erp.Proof{Company: fmt.Sprintf("a folder with done/ and bad/, %d files waiting", len(readable(waiting)))}, nil
}

// enter opens the folder, and makes sure that it is the right one.
func (in *Inbox) enter(ctx context.Context) (folder, error) {
	if err := in.meter.Take(); err != nil {
		return nil, err
	}
	f, err := in.open(ctx)
	if err != nil {
		return nil, failed(err)
	}
	for _, name := range []string{doneFolder, badFolder} {
		there, err := f.isFolder(name)
		if err == nil && !there {
			err = erp.Fail(erp.Misconfigured, "the folder has no folder %s/ in it, so it is another one, or its share is not mounted", name)
		}
		if err != nil {
			f.close()
			return nil, failed(err)
		}
	}
	return f, nil
}

func readable(entries []entry) []entry {
	entries = slices.DeleteFunc(entries, func(e entry) bool {
		return strings.HasPrefix(e.name, ".") || !slices.Contains(endings, strings.ToLower(path.Ext(e.name)))
	})
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	return entries
}

// Collect hands over file by file, in the order of their names.
func (in *Inbox) Collect(ctx context.Context, take func([]erp.Document) error) error {
	f, err := in.enter(ctx)
	if err != nil {
		return err
	}
	defer f.close()
	entries, err := f.list()
	if err != nil {
		return failed(err)
	}
	bad, reason := 0, ""
	for _, e := range in.settled(readable(entries)) {
		if ctx.Err() != nil {
			return erp.Fail(erp.Unreachable, "interrupted")
		}
		problem, err := in.file(f, e, take)
		if err != nil {
			return err
		}
		if problem != "" {
			bad, reason = bad+1, problem
		}
	}
	if bad > 0 {
		return erp.Fail(erp.Malformed, "%d files could not be read and are in bad/ (the last: %s)", bad, reason)
	}
	return nil
}

// settled are the files that have looked the same for long enough. The clock of whoever keeps them does not matter.
func (in *Inbox) settled(entries []entry) []entry {
	if in.options.Settle == 0 {
		return entries
	}
	now, seen := in.now(), map[string]sighting{}
	var ready []entry
	for _, e := range entries {
		s, known := in.seen[e.name]
		if !known || s.entry != e {
			s = sighting{entry: e, since: now}
		}
		seen[e.name] = s
		if now.Sub(s.since) >= in.options.Settle {
			ready = append(ready, e)
		}
	}
	in.seen = seen
	return ready
}

// file takes one; problem says why it could not be read, as in: "is larger than".
func (in *Inbox) file(f folder, e entry, take func([]erp.Document) error) (problem string, err error) {
	if e.size > maxFile {
		return in.putAside(f, e.name, fmt.Sprintf("is larger than %d MB", maxFile>>20))
	}
	data, now, err := f.read(e.name, maxFile+1)
	if err != nil {
		return "", failed(err)
	}
	if now != e || int64(len(data)) != e.size {
		return "", nil // somebody is writing: next time
	}
	docs, err := parse(e.name, data, in.options.TimeZone)
	if err != nil {
		return in.putAside(f, e.name, err.Error())
	}
	if err := take(docs); err != nil {
		return "", err
	}
	return "", failed(in.put(f, e.name, doneFolder))
}

func (in *Inbox) putAside(f folder, name, reason string) (string, error) {
	to, err := in.free(f, name, badFolder)
	if err != nil {
		return "", failed(err)
	}
	if err := f.rename(name, to); err != nil {
		return "", failed(err)
	}
	// The reason is a help. That it could not be written does not matter, since the error of the run has it, too.
	_ = f.write(to+".reason", []byte(reason+"\n"))
	return reason, nil
}

func (in *Inbox) put(f folder, name, into string) error {
	to, err := in.free(f, name, into)
	if err != nil {
		return err
	}
	return f.rename(name, to)
}

// free is a name in done or bad that is not taken: the same name may come every day.
func (in *Inbox) free(f folder, name, into string) (string, error) {
	extension := path.Ext(name)
	stem := strings.TrimSuffix(name, extension)
	to := path.Join(into, name)
	for n := 1; ; n++ {
		taken, err := f.exists(to)
		if err != nil || !taken {
			return to, err
		}
		to = path.Join(into, fmt.Sprintf("%s-%s-%d%s", stem, in.now().UTC().Format("20060102T150405Z"), n, extension))
	}
}
