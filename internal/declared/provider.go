package declared

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"

	"example.com/upload-router/components/location"
)

var (
	errUnknownFunction = errors.New("no answer is known for this function: add it to internal/declared")
	errNoDefaultVPC    = errors.New("no matching EC2 VPC found")
	errNoImage         = errors.New("reading ECR Images: operation error ECR: DescribeImages, ImageNotFoundException: " +
		"The image with the given id does not exist within the repository")
)

// functionImage looks an image up.
const functionImage = "aws:ecr/getImage:getImage"

// imageName is the image that a look-up is for, as repository and tag.
func imageName(look map[string]any) string {
	return fmt.Sprintf("%v:%v", look["repositoryName"], look["imageTag"])
}

// provider fills in what AWS and Docker would.
type provider struct{ Options }

// computed gives the values that AWS fills in, from the physical name.
type computed func(p provider, physical string, inputs map[string]any) map[string]any

// arn fills in the ARN of a service's resource, whose name follows a prefix.
func arn(service, prefix string) computed {
	return func(p provider, physical string, _ map[string]any) map[string]any {
		return map[string]any{"arn": p.arn(service, prefix+physical)}
	}
}

// create gives a resource's physical id and what AWS would fill in.
func (p provider) create(token, name string, inputs map[string]any) (string, map[string]any) {
	k, known := KindOf(token)
	if !known {
		module, _, _ := strings.Cut(string(tokens.Type(token).Module().Name()), "/")
		k = Kind{named: "name", fill: arn(module, "")}
	}
	id := k.prefix + "-" + digest(name)[:17]
	values := map[string]any{}
	if k.named != "" {
		id = physicalName(k.named, name, inputs)
		values[k.named] = id
	}
	if k.fill != nil {
		maps.Copy(values, k.fill(p, id, inputs))
	}
	return id, values
}

// physicalName is the name that the inputs set, or one with a suffix as Pulumi's auto-naming makes it.
func physicalName(named, name string, inputs map[string]any) string {
	if given, ok := inputs[named].(string); ok {
		return given
	}
	suffix := digest(name)[:7]
	if prefix, ok := inputs["namePrefix"].(string); ok {
		return prefix + suffix
	}
	return name + "-" + suffix
}

// digest makes values up that stay the same from run to run.
func digest(of string) string {
	sum := sha256.Sum256([]byte(of))
	return hex.EncodeToString(sum[:])
}

// domain is what the hosts of the services end with.
func (p provider) domain() string { return location.Location{Partition: p.Partition}.DNSSuffix() }

func (p provider) arn(service, resource string) string {
	return fmt.Sprintf("arn:%s:%s:%s:%s:%s", p.Partition, service, p.Region, p.AccountID, resource)
}

func (p provider) urn(r Resource) string {
	parentType := tokens.Type("")
	if parent := resource.URN(r.Parent); parent != "" && parent.QualifiedType() != resource.RootStackType {
		parentType = parent.QualifiedType()
	}
	return string(resource.NewURN(tokens.QName(p.Stack), tokens.PackageName(p.Project), parentType, tokens.Type(r.Type), r.Name))
}

// call answers a function of a provider.
func (p provider) call(token string, args map[string]any) (map[string]any, error) {
	switch token {
	case "aws:index/getCallerIdentity:getCallerIdentity":
		return map[string]any{"accountId": p.AccountID}, nil
	case "aws:index/getRegion:getRegion":
		return map[string]any{"name": p.Region}, nil
	case "aws:index/getPartition:getPartition":
		return map[string]any{"partition": p.Partition}, nil
	case "aws:index/getAvailabilityZones:getAvailabilityZones":
		return map[string]any{"names": p.Zones}, nil
	case "aws:ec2/getVpc:getVpc":
		if p.NoDefaultVPC {
			return nil, errNoDefaultVPC
		}
		return map[string]any{"id": "vpc-0default"}, nil
	case "aws:ec2/getVpcEndpointService:getVpcEndpointService":
		name, _ := args["serviceName"].(string)
		if zones, given := p.EndpointZones[name]; given {
			return map[string]any{"serviceName": name, "availabilityZones": zones}, nil
		}
		return map[string]any{"serviceName": name, "availabilityZones": p.Zones}, nil
	case "aws:ec2/getSubnets:getSubnets":
		return map[string]any{"ids": p.Subnets}, nil
	case "aws:ecr/getAuthorizationToken:getAuthorizationToken":
		return map[string]any{"userName": "AWS", "password": "registry-password", "expiresAt": "2026-01-01T12:00:00Z"}, nil
	case functionImage:
		if digest := p.Images[imageName(args)]; digest != "" {
			return map[string]any{"imageDigest": digest}, nil
		}
		return nil, errNoImage
	}
	return nil, fmt.Errorf("%s(%v): %w", token, args, errUnknownFunction)
}
