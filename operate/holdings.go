package operate

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"golang.org/x/sync/errgroup"

	"example.com/upload-router/internal/declared"
)

// Holding is something deployed that has data in it.
type Holding struct {
	// What it is, and its name.
	What string `json:"what"`
	Name string `json:"name"`
	// Content is what is in it, in words; empty if it could not be counted.
	Content string `json:"content,omitempty"`
	// Error says why it could not be counted.
	Error string `json:"error,omitempty"`
	// Kept is that AWS deletes it only while there is nothing in it: it isn't deployed with forceDestroy.
	Kept bool `json:"kept,omitempty"`
}

// Blocks says whether a destroy fails there.
func (h Holding) Blocks() bool {
	return h.Kept && h.Error == "" && h.Content != nothingInIt && h.Content != gone
}

// What things with data in them are called.
const (
	holdingBucket = "bucket"
	holdingImages = "image repository"
	holdingLogs   = "log group"
)

// count is how to find out what is in something.
type count struct {
	Holding
	how func(context.Context) (string, error)
}

// Holdings are what would be lost with the stack: the bucket's objects, the repository's images, the queues' messages, the logs,
// the ledger and the key. What a broken-off deployment, or a broken-off destroy, has left is in the state.
func (s *Stack) Holdings(ctx context.Context) ([]Holding, error) {
	config, err := s.Config(ctx)
	if err != nil {
		return nil, err
	}
	outputs, err := s.Outputs(ctx)
	if err != nil && !errors.Is(err, ErrNotDeployed) {
		return nil, err
	}
	resources, err := s.resources(ctx)
	if err != nil {
		return nil, err
	}
	cfg, err := LoadAWS(ctx, cmp.Or(outputs.Region(), config[keyRegion]), config["aws:profile"])
	if err != nil {
		return nil, err
	}
	holdings, err := counted(ctx, append(keeping(cfg, outputs, resources), Connect(cfg, outputs).counts()...))
	if err != nil {
		return nil, err
	}
	return append(holdings, uncounted(resources, holdings)...), nil
}

// keeping are the stack's own buckets and repositories: with an image of the user's
// own there is no repository that could be lost.
func keeping(cfg aws.Config, outputs Outputs, resources []stateResource) []count {
	var counts []count
	for _, r := range resources {
		if r.Type != declared.TypeBucket && r.Type != declared.TypeRepository {
			continue
		}
		var deployed struct{ ForceDestroy, ForceDelete bool }
		// What can't be read is taken for kept, which it is by default.
		_ = json.Unmarshal(r.Outputs, &deployed)
		of := outputs
		if r.Type == declared.TypeBucket {
			of.BucketName = r.ID
			counts = append(counts, count{Holding{What: holdingBucket, Name: r.ID, Kept: !deployed.ForceDestroy}, Connect(cfg, of).countObjects})
			continue
		}
		counts = append(counts, count{
			Holding{What: holdingImages, Name: r.ID, Kept: !deployed.ForceDelete}, Connect(cfg, of).countImages(r.ID),
		})
	}
	return counts
}

// counts are the rest of what the outputs name.
func (s *System) counts() []count {
	var counts []count
	if url := s.Outputs.DeadLetterQueueURL; url != "" {
		counts = append(counts, count{Holding{What: "dead-letter queue", Name: lastPart(url, "/")}, s.countMessages})
	}
	if url := s.Outputs.PausedQueueURL; url != "" {
		counts = append(counts, count{Holding{What: "paused uploads", Name: lastPart(url, "/")}, s.countWaiting})
	}
	for _, group := range []string{s.Outputs.FunctionLogGroup, s.Outputs.TaskLogGroup} {
		if group != "" {
			counts = append(counts, count{Holding{What: holdingLogs, Name: group}, s.countLogs(group)})
		}
	}
	return counts
}

// counted counts all at once.
func counted(ctx context.Context, counts []count) ([]Holding, error) {
	holdings := make([]Holding, len(counts))
	group, ctx := errgroup.WithContext(ctx)
	for i, c := range counts {
		group.Go(func() error {
			content, err := c.how(ctx)
			if err != nil {
				c.Error = refusal(err).Error()
			}
			c.Content = content
			holdings[i] = c.Holding
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("looking for data: %w", refusal(err))
	}
	return holdings, nil
}

// uncounted are those that hold data and aren't among the counted.
func uncounted(resources []stateResource, counted []Holding) []Holding {
	var more []Holding
	for _, kind := range []struct{ what, typ, content string }{
		{holdingLogs, declared.TypeLogGroup, ""},
		{"queue", declared.TypeQueue, "notices that could not be sent"},
		{"ledger", declared.TypeTable, "what became of every upload, and the results"},
		{"KMS key", declared.TypeKey, "what is encrypted with it is lost with it; it can be had back for 30 days"},
	} {
		for _, r := range resources {
			if r.Type != kind.typ {
				continue
			}
			name := lastPart(r.ID, "/")
			if kind.what == holdingLogs {
				name = r.ID
			}
			if !slices.ContainsFunc(counted, func(h Holding) bool { return h.Name == name }) {
				more = append(more, Holding{What: kind.what, Name: name, Content: kind.content})
			}
		}
	}
	return more
}

// Kept is the error for what a destroy would fail at: nil if there is nothing of the kind, and it matches [ErrNotReady].
// Destroyed all the same, the stack would lose all else first, down to what gives access to the very data that stays.
func (s *Stack) Kept(holdings []Holding) error {
	var text strings.Builder
	for _, h := range holdings {
		if h.Blocks() {
			fmt.Fprintf(&text, "\n  %s %s: %s", h.What, h.Name, h.Content)
		}
	}
	if text.Len() == 0 {
		return nil
	}
	fmt.Fprintf(&text, "\nto delete it with all that is in it: `pulumi config set forceDestroy true --stack %[1]s`, "+
		"`upload-router up --stack %[1]s`, and destroy again", s.name)
	for _, h := range holdings {
		switch {
		case !h.Blocks():
		case h.What == holdingBucket:
			fmt.Fprintf(&text, "\nto keep the objects' newest versions: `aws s3 sync s3://%s FOLDER` first", h.Name)
		default:
			fmt.Fprintf(&text, "\nto delete the images alone: `aws ecr batch-delete-image --repository-name %[1]s "+
				"--image-ids \"$(aws ecr list-images --repository-name %[1]s --query 'imageIds[*]' --output json)\"`", h.Name)
		}
	}
	return fmt.Errorf("%w: nothing was deleted, as destroy would fail at what holds data and isn't deployed with forceDestroy:%s",
		ErrNotReady, text.String())
}
