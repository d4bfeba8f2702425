package task

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/internal/host/request"
)

// container is a container definition. All its lists are written, empty ones
// too, as ECS gives them back: otherwise every plan would show a new revision.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
type container struct {
	Name                   string           `json:"name"`
	Image                  string           `json:"image"`
	CPU                    int              `json:"cpu"`
	Essential              bool             `json:"essential"`
	User                   string           `json:"user"`
	ReadonlyRootFilesystem bool             `json:"readonlyRootFilesystem"`
	LinuxParameters        linuxParameters  `json:"linuxParameters"`
	LogConfiguration       logConfiguration `json:"logConfiguration"`
	Environment            []nameValue      `json:"environment"`
	MountPoints            []mountPoint     `json:"mountPoints"`
	PortMappings           []struct{}       `json:"portMappings"`
	SystemControls         []struct{}       `json:"systemControls"`
	VolumesFrom            []struct{}       `json:"volumesFrom"`
}

// mountPoint is where a volume is mounted.
type mountPoint struct {
	SourceVolume  string `json:"sourceVolume"`
	ContainerPath string `json:"containerPath"`
	ReadOnly      bool   `json:"readOnly"`
}

type linuxParameters struct {
	Capabilities capabilities `json:"capabilities"`
}

// capabilities have both lists: ECS gives an empty one back, too.
// https://github.com/braintrustdata/terraform-aws-braintrust-data-plane/pull/335
// https://github.com/terraform-aws-modules/terraform-aws-ecs/pull/176
type capabilities struct {
	Add  []string `json:"add"`
	Drop []string `json:"drop"`
}

type logConfiguration struct {
	LogDriver string            `json:"logDriver"`
	Options   map[string]string `json:"options"`
}

type nameValue struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// containers is the definition of the one container, as JSON.
func containers(args *Args) pulumi.StringOutput {
	return pulumi.All(args.Image, args.LogGroupName, args.Environment.ToStringMapOutput()).ApplyT(func(v []any) (string, error) {
		b, err := json.Marshal([]container{{
			Name:  ContainerName,
			Image: v[0].(string),
			// No size of its own: it has all of the task's, whichever that is for a run.
			CPU:                    0,
			Essential:              true,
			User:                   user,
			ReadonlyRootFilesystem: true,
			LinuxParameters:        linuxParameters{Capabilities: capabilities{Add: []string{}, Drop: []string{"ALL"}}},
			LogConfiguration: logConfiguration{LogDriver: "awslogs", Options: map[string]string{
				"awslogs-group":         v[1].(string),
				"awslogs-region":        args.Location.Region,
				"awslogs-stream-prefix": "containerlog",
			}},
			Environment:    variables(v[2].(map[string]string), args.MemoryMB),
			MountPoints:    []mountPoint{{SourceVolume: temporary, ContainerPath: "/tmp", ReadOnly: false}},
			PortMappings:   []struct{}{},
			SystemControls: []struct{}{},
			VolumesFrom:    []struct{}{},
		}})
		if err != nil {
			return "", fmt.Errorf("writing the container definition: %w", err)
		}
		return string(b), nil
	}).(pulumi.StringOutput)
}

// variables are those of the container, in the order of their names: in another one every plan would show a new revision.
// The task's memory is told the worker, which finds no limit of the container's.
func variables(environment map[string]string, memoryMB int) []nameValue {
	all := map[string]string{request.EnvironmentTaskMemory: strconv.Itoa(memoryMB)}
	maps.Copy(all, environment)
	list := make([]nameValue, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, nameValue{name, all[name]})
	}
	return list
}
