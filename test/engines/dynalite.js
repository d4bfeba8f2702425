// Makes the calls of internal/dynamodb's cases on dynalite. A request is a case
// of testdata/cases.jsonl whose keys, names and long texts are filled in; the
// answer is the item that is there then, with what the call gives, or the
// refusal. One of testdata/queries.jsonl comes with the table's items.
const dynalite = require('dynalite')
const http = require('http')
const readline = require('readline')

const credential = 'AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0'

function call (port, operation, body) {
  return new Promise((resolve, reject) => {
    const request = http.request({
      port,
      method: 'POST',
      headers: {
        'Content-Type': 'application/x-amz-json-1.0',
        'X-Amz-Target': 'DynamoDB_20120810.' + operation,
        'X-Amz-Date': '20260101T000000Z',
        Authorization: credential,
      },
    }, (response) => {
      const parts = []
      response.on('data', (part) => parts.push(part))
      response.on('end', () => resolve({ status: response.statusCode, body: JSON.parse(Buffer.concat(parts)) }))
    })
    request.on('error', reject)
    request.end(JSON.stringify(body))
  })
}

async function must (port, operation, body) {
  const answer = await call(port, operation, body)
  if (answer.status !== 200) throw new Error(operation + ': ' + JSON.stringify(answer.body))
  return answer.body
}

const text = (name) => ({ AttributeName: name, AttributeType: 'S' })
const keys = (hash, range) => [{ AttributeName: hash, KeyType: 'HASH' }, { AttributeName: range, KeyType: 'RANGE' }]

async function create (port, table, more) {
  await must(port, 'CreateTable', { TableName: table, BillingMode: 'PAY_PER_REQUEST', KeySchema: keys('object', 'version'), ...more })
  for (;;) {
    const described = await must(port, 'DescribeTable', { TableName: table })
    if (described.Table.TableStatus === 'ACTIVE') break
  }
}

function refusal (answer) {
  if (answer.status === 200) return ''
  return answer.body.__type.split('#')[1] + ': ' + (answer.body.message || answer.body.Message)
}

async function main () {
  const server = dynalite({ createTableMs: 0, deleteTableMs: 0 })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const port = server.address().port
  await create(port, 'table', { AttributeDefinitions: [text('object'), text('version')] })
  await create(port, 'queried', {
    AttributeDefinitions: ['object', 'version', 'day', 'started'].map(text),
    GlobalSecondaryIndexes: [{
      IndexName: 'timeline',
      KeySchema: keys('day', 'started'),
      Projection: { ProjectionType: 'INCLUDE', NonKeyAttributes: ['status', 'size'] },
    }],
  })
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { Items, Before, Key, Operation, Parameters } = JSON.parse(line)
    if (Items) {
      for (const Item of Items) await must(port, 'PutItem', { TableName: 'queried', Item })
      const answer = await call(port, Operation, { TableName: 'queried', ...Parameters })
      console.log(JSON.stringify({ Page: answer.body, Error: refusal(answer) }))
      continue
    }
    await must(port, 'DeleteItem', { TableName: 'table', Key })
    if (Before) await must(port, 'PutItem', { TableName: 'table', Item: Before })
    const answer = await call(port, Operation, { TableName: 'table', ...Parameters })
    const { Item } = await must(port, 'GetItem', { TableName: 'table', Key })
    console.log(JSON.stringify({ Item, Attributes: answer.body.Attributes, Error: refusal(answer) }))
  }
  server.close()
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
