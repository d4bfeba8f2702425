package operate

import (
	"context"

	"example.com/upload-router/internal/awsquery"
)

// ecsRole is the role that ECS acts by itself with, one an account. It is made in the background of an account's first cluster.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using-service-linked-roles.html
const ecsRole = "AWSServiceRoleForECS"

// spotRole looks for the role without which a cluster can't be given Fargate Spot.
func (d *doctor) spotRole(ctx context.Context) {
	key := d.settings.SpotKey()
	if key == "" {
		return
	}
	const name = "ECS's own role"
	_, err := awsquery.NewIAM(*d.aws).Role(ctx, ecsRole)
	switch {
	case err == nil:
		d.ok(name, ecsRole)
	case hasCode(err, "NoSuchEntity"):
		d.failed(name, "there is no role "+ecsRole,
			key+" is spot: ECS gives the cluster its capacity providers by it, and would only begin to make it with the cluster",
			"aws iam create-service-linked-role --aws-service-name ecs.amazonaws.com")
	default:
		d.unasked(name, "", actionRole, err)
	}
}
