// Sends one message of each kind with Segment's own library. Arguments: the server's address, the write key.
const { Analytics } = require('@segment/analytics-node')
const [, , host, writeKey] = process.argv
const analytics = new Analytics({ host, writeKey, flushAt: 3, maxRetries: 1 })
analytics.on('error', (error) => {
  console.error(error)
  process.exitCode = 1
})
const timestamp = new Date('2026-01-05T10:00:00Z')
analytics.page({ anonymousId: 'a1', name: 'Home', properties: { url: 'https://shop.example/' }, timestamp })
analytics.track({ anonymousId: 'a1', event: 'Signed Up', properties: { plan: 'pro' }, timestamp: new Date('2026-01-05T10:01:00Z') })
analytics.identify({ userId: 'u1', anonymousId: 'a1', traits: { name: 'Ann' }, timestamp: new Date('2026-01-05T10:02:00Z') })
analytics.screen({ userId: 'u1', name: 'Cart', timestamp: new Date('2026-01-05T10:03:00Z') })
analytics.group({ userId: 'u1', groupId: 'g1', traits: { seats: 3 }, timestamp: new Date('2026-01-05T10:04:00Z') })
analytics.alias({ userId: 'u1', previousId: 'a0', timestamp: new Date('2026-01-05T10:05:00Z') })
analytics.closeAndFlush().then(() => console.log('sent'))
