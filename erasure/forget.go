package erasure

import (
	"context"
	"errors"
	"slices"

	"kvit/store"
)

// SubjectErasure carries out a request to be forgotten as a whole: it erases, and tells the providers.
type SubjectErasure struct {
	Eraser     *Eraser
	Shop       *store.Orders // the shop's, whether or not a policy erases them; nil: no shop is configured
	Anchor     AnchorFile
	Recipients []Recipient
}

// SubjectResult is what became of a request as a whole; as JSON, what `kvit subject erase` prints.
type SubjectResult struct {
	SubjectReport
	Tasks []ToldTask `json:"tasks"`
	Notes []string   `json:"notes"` // what could not be looked at

	AnchorProblem error `json:"-"` // why the anchor was not moved afterwards; nil: it was

	refused bool
}

// Incomplete tells whether something was refused, or a provider told in vain. Tasks that wait for an
// operator are no failure.
func (r SubjectResult) Incomplete() bool {
	return r.refused || len(r.Notes) > 0 || slices.ContainsFunc(r.Tasks, func(t ToldTask) bool { return t.failed })
}

// Do erases what there is of a person and makes one attempt at each task; a dry run rolls back and tells
// nobody. That something is refused is no error: SubjectResult.Incomplete tells. The error is
// store.ErrNotSearchable if nothing was begun, an *AnchorError for a database that has gone back, or one of
// EraseSubject; the result tells what was done all the same.
func (s SubjectErasure) Do(ctx context.Context, q SubjectRequest, dryRun bool) (SubjectResult, error) {
	result := SubjectResult{Tasks: []ToldTask{}, Notes: []string{}}
	if orders := s.Eraser.Orders; orders != nil {
		if err := q.Subject.Searchable(*orders); err != nil {
			return result, err
		}
	} else if s.Shop != nil {
		result.Notes = append(result.Notes, "retention.policy is missing: nothing of the shop's tables is erased")
	}
	err := s.erase(ctx, q, dryRun, &result)
	result.refused = errors.Is(err, ErrRefused)
	if err == nil || result.refused {
		result.Tasks, err = s.tell(ctx, q.Subject, result.SubjectReport)
	}
	return result, err
}

// erase refuses a database that has gone back, and moves the anchor when certificates have come.
func (s SubjectErasure) erase(ctx context.Context, q SubjectRequest, dryRun bool, result *SubjectResult) (err error) {
	if dryRun {
		result.SubjectReport, err = s.Eraser.DryEraseSubject(ctx, q)
		return err
	}
	if err := s.Anchor.Keep(ctx, s.Eraser.DB); err != nil {
		return err
	}
	result.SubjectReport, err = s.Eraser.EraseSubject(ctx, q)
	result.AnchorProblem = s.Anchor.Keep(ctx, s.Eraser.DB)
	return err
}

// tell tells nobody in a dry run, whose tasks are rolled back.
func (s SubjectErasure) tell(ctx context.Context, subject store.Subject, report SubjectReport) ([]ToldTask, error) {
	if report.DryRun {
		tasks := []ToldTask{}
		for _, task := range report.Tasks {
			tasks = append(tasks, ToldTask{Task: task})
		}
		return tasks, nil
	}
	t := teller{recipients: s.Recipients, db: s.Eraser.DB, subject: subject, clientIDs: report.ClientIDs, eventIDs: report.EventIDs}
	tasks, err := t.tell(ctx, report.Tasks)
	if err != nil {
		return tasks, errors.New("tell providers: " + store.Describe(err))
	}
	return tasks, nil
}
