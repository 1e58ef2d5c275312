local call = redis.call
call('HSET', '{shop}:meta', 'version', '1', 'head', '1700000000005-0', 'remembers', '100000', 'known', '4')
call('HSET', '{shop}:next', 'order-1', '2', 'order-2', '2', 'order-3', '1')
call('XADD', '{shop}:log', '1700000000000-0', 'stream', 'order-1', 'revision', '0',
  'id', '01900000-0000-7000-8000-00000000000a', 'kind', 'order.created', 'source', '/orders',
  'seconds', '1700000000', 'nanos', '123456789', 'subject', '1', 'contentType', 'application/json',
  'dataSchema', 'https://example.com/order', 'trace', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  'extensions', '{"commandid":"k"}', 'data', '{"total":5}')
call('XADD', '{shop}:log', '1700000000000-1', 'stream', 'order-1', 'revision', '1',
  'id', '01900000-0000-7000-8000-00000000000b', 'kind', 'order.shipped', 'source', '/orders',
  'seconds', '1700000001', 'nanos', '0', 'data', '')
-- Of `order-2` all is gone; a deletion of `order-3` was begun.
call('XADD', '{shop}:log', '1700000000005-0', 'stream', 'order-3', 'revision', '0',
  'id', '01900000-0000-7000-8000-00000000000e', 'kind', 'order.created', 'source', '/orders',
  'seconds', '1700000005', 'nanos', '0', 'data', '')
call('ZADD', '{shop}:index:order-1', 0, '018bcfe5680000000000', 0, '018bcfe5680000000001')
call('ZADD', '{shop}:gone:order-3', 0, '018bcfe5680500000000')
call('SADD', '{shop}:deleting', 'order-3')
local id = '\1\144\0\0\0\0\112\0\128\0\0\0\0\0\0'
local function batch(place, last, revision)
  local ids = {}
  for i = 1, #last do
    ids[i] = id .. string.sub(last, i, i)
    call('HSET', '{shop}:ids', ids[i], place)
  end
  call('XADD', '{shop}:batches', place, 'ids', table.concat(ids), 'revision', revision)
end
batch('1700000000000-1', '\10\11', '1')
batch('1700000000003-1', '\12\13', '1')
