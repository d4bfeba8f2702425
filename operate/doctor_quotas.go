package operate

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"

	"example.com/upload-router/internal/awsquery"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/settings"
)

// accountQuota is a quota of the account, by its codes at Service Quotas.
// https://docs.aws.amazon.com/servicequotas/latest/userguide/intro.html
type accountQuota struct{ service, code string }

// The quotas that new accounts run into.
var (
	quotaVPCs        = accountQuota{"vpc", "L-F678F1CE"}     // VPCs per Region
	quotaFargate     = accountQuota{"fargate", "L-3032A538"} // Fargate On-Demand vCPU resource count
	quotaSpot        = accountQuota{"fargate", "L-36FBB829"} // Fargate Spot vCPU resource count
	quotaConcurrency = accountQuota{"lambda", "L-B99A9384"}  // Concurrent executions
)

// raise is the command that asks for more.
func (q accountQuota) raise(to int) string {
	return fmt.Sprintf("aws service-quotas request-service-quota-increase --service-code %s --quota-code %s --desired-value %d",
		q.service, q.code, to)
}

func (d *doctor) quota(ctx context.Context, of accountQuota) (float64, error) {
	client := servicequotas.NewFromConfig(*d.aws)
	quota, err := client.GetServiceQuota(ctx, &servicequotas.GetServiceQuotaInput{ServiceCode: &of.service, QuotaCode: &of.code})
	if err != nil {
		return 0, fmt.Errorf("asking for the quota %s of %s: %w", of.code, of.service, err)
	}
	return aws.ToFloat64(quota.Quota.Value), nil
}

func (d *doctor) vpcQuota(ctx context.Context) {
	if !d.settings.MakesVPC() || len(d.owned[declared.TypeVPC]) > 0 {
		return
	}
	const name = "Quota of VPCs"
	most, err := d.quota(ctx, quotaVPCs)
	if err != nil {
		d.unasked(name, "", actionQuota, err)
		return
	}
	vpcs, err := awsquery.NewEC2(*d.aws).DescribeVPCs(ctx, nil)
	if err != nil {
		d.unasked(name, "", actionVPCs, err)
		return
	}
	have := len(vpcs)
	found := fmt.Sprintf("%d of %.0f used", have, most)
	if float64(have) < most {
		d.ok(name, found)
		return
	}
	fix := quotaVPCs.raise(have + 1)
	if d.settings.Network == settings.NetworkCreate { // the default VPC is no fix for who wants isolated subnets
		fix += ", or: pulumi config set network default"
	}
	d.failed(name, found, "the stack makes one: network is "+string(d.settings.Network), fix)
}

// fargateQuota looks whether the tasks that may run at a time fit into the account. Where they run on Spot, those are the first
// ones for their objects: the next ones are on demand, one at least.
func (d *doctor) fargateQuota(ctx context.Context) {
	var onDemand, onSpot []parallel
	for _, r := range d.settings.Machine().Rows() {
		p := parallel{tasks: max(1, r.MaxParallel), cpu: cmp.Or(r.CPU, d.settings.TaskCPU), limit: d.settings.LimitKey(r.Name)}
		switch {
		case r.Compute != machine.Fargate:
		case r.Spot:
			onSpot = append(onSpot, p)
			onDemand = append(onDemand, parallel{tasks: 1, cpu: p.cpu, limit: p.limit})
		default:
			onDemand = append(onDemand, p)
		}
	}
	if len(onSpot) > 0 {
		d.vcpus(ctx, "Quota of Fargate Spot", quotaSpot, onSpot,
			"ECS refuses the first task of an object on Spot above it, and the next one costs the price on demand")
	}
	why := "ECS refuses a task above it, and a large file fails once its retries are used up"
	if len(onSpot) == len(onDemand) {
		why = "what Spot has no capacity for, or takes back, runs on demand, or fails"
	}
	d.vcpus(ctx, "Quota of Fargate", quotaFargate, onDemand, why)
}

// parallel is how many tasks of a route may run at a time, the processor units of each, and the path of the limit in the configuration.
type parallel struct {
	tasks, cpu int
	limit      string
}

// vcpus looks whether the tasks of routes fit into a quota of vCPUs.
func (d *doctor) vcpus(ctx context.Context, name string, of accountQuota, routes []parallel, why string) {
	switch len(routes) {
	case 0:
	case 1:
		d.vcpusOfOne(ctx, name, of, routes[0], why)
	default:
		d.vcpusOfAll(ctx, name, of, routes, why)
	}
}

// vcpusOfAll looks whether the tasks of several routes fit.
func (d *doctor) vcpusOfAll(ctx context.Context, name string, of accountQuota, routes []parallel, why string) {
	most, err := d.quota(ctx, of)
	if err != nil {
		d.unasked(name, "", actionQuota, err)
		return
	}
	needed := 0.0
	for _, r := range routes {
		needed += float64(r.tasks*r.cpu) / unitsOfCPU
	}
	if found := fmt.Sprintf("%g vCPUs, of which the routes' tasks may take %g at a time", most, needed); needed <= most {
		d.ok(name, found)
	} else {
		d.failed(name, found, why, of.raise(int(math.Ceil(needed))))
	}
}

// unitsOfCPU are ECS's of a vCPU.
const unitsOfCPU = 1024

// vcpusOfOne looks whether the tasks of the one route that has some fit.
func (d *doctor) vcpusOfOne(ctx context.Context, name string, of accountQuota, route parallel, why string) {
	tasks := route.tasks
	most, err := d.quota(ctx, of)
	if err != nil {
		d.unasked(name, "", actionQuota, err)
		return
	}
	each := float64(route.cpu) / unitsOfCPU
	fit := int(most / each)
	fix := of.raise(int(math.Ceil(each * float64(tasks))))
	switch {
	case fit >= tasks:
		d.ok(name, fmt.Sprintf("%g vCPUs, %s at a time", most, plural(int64(fit), "task")))
	case fit < 1:
		d.failed(name, fmt.Sprintf("%g vCPUs, and a task takes %g", most, each), why, fix)
	default:
		d.failed(name, fmt.Sprintf("%g vCPUs, and %s lets %d tasks of %g run at a time", most, route.limit, tasks, each), why,
			fmt.Sprintf("%s, or: %s", settings.Fix{Path: route.limit, Value: strconv.Itoa(fit)}, fix))
	}
}

// unreservedMinimum is how many runs of functions AWS wants to stay for those
// that have none reserved; all, in an account that has fewer.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
const unreservedMinimum = 100

// concurrency looks whether the function's runs can be reserved.
func (d *doctor) concurrency(ctx context.Context) {
	if d.settings.LambdaConcurrency == 0 {
		return
	}
	const name = "Lambda's concurrency"
	client := lambda.NewFromConfig(*d.aws)
	account, err := client.GetAccountSettings(ctx, &lambda.GetAccountSettingsInput{})
	if err != nil {
		d.unasked(name, "", actionAccount, err)
		return
	}
	limit, free := int(account.AccountLimit.ConcurrentExecutions), int(aws.ToInt32(account.AccountLimit.UnreservedConcurrentExecutions))
	for _, function := range d.owned[declared.TypeFunction] { // what it has reserved by now is free for it
		reserved, err := client.GetFunctionConcurrency(ctx, &lambda.GetFunctionConcurrencyInput{FunctionName: &function})
		if err != nil {
			d.unasked(name, "", actionConcurrency, err)
			return
		}
		free += int(aws.ToInt32(reserved.ReservedConcurrentExecutions))
	}
	keep := min(unreservedMinimum, limit)
	want := d.settings.LambdaConcurrency
	if free-want >= keep {
		d.ok(name, fmt.Sprintf("%d of %d runs are free, %d of them to be reserved", free, limit, want))
		return
	}
	d.failed(name, fmt.Sprintf("%d of %d runs are free, %d must stay so, and %d are to be reserved", free, limit, keep, want),
		"AWS refuses to reserve what lambdaReservedConcurrency asks for", fmt.Sprintf("pulumi config set lambdaReservedConcurrency %d, or: %s",
			max(0, free-keep), quotaConcurrency.raise(limit+unreservedMinimum+want-free)))
}
