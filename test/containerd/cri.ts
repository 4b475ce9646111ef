import { join } from "node:path";
import { credentials, loadPackageDefinition, type ServiceError } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const CALL_LIMIT_MS = 200_000;

export type Message = Record<string, unknown>;

/** Kubernetes' interface to a container engine (cri.proto). Calls throw grpc-js's ServiceError. */
export class Cri implements Disposable {
  readonly #client: Record<string, (...args: unknown[]) => void> & { close(): void };

  /** @param socket the engine's. */
  constructor(socket: string) {
    const definition = loadSync(join(import.meta.dirname, "cri.proto"), {
      longs: Number,
      enums: String,
      defaults: true,
    });
    const loaded = loadPackageDefinition(definition) as unknown as {
      runtime: { v1: { RuntimeService: new (address: string, creds: unknown) => never } };
    };
    this.#client = new loaded.runtime.v1.RuntimeService(`unix://${socket}`, credentials.createInsecure());
  }

  call<Answer = Message>(method: string, request: Message): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const deadline = Date.now() + CALL_LIMIT_MS;
      this.#client[method]?.(request, { deadline }, (error: ServiceError | null, answer: Answer) =>
        error ? reject(error) : resolve(answer),
      );
    });
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}
