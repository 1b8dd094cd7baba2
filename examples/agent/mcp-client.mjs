// An MCP client by the official SDK. It is given an address and knows nothing of authorization.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const client = new Client({ name: 'example', version: '1.0.0' });
await client.connect(new StreamableHTTPClientTransport(new URL(process.argv[2])));
const { tools } = await client.listTools();
for (const tool of tools) await client.callTool({ name: tool.name, arguments: {} });
console.log(tools.map((tool) => tool.name).join(' '));
await client.close();
