package peer;

import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collection;

import org.eclipse.californium.core.coap.Message;
import org.eclipse.leshan.core.endpoint.Protocol;
import org.eclipse.leshan.core.link.Link;
import org.eclipse.leshan.core.model.LwM2mModel;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.observation.CompositeObservation;
import org.eclipse.leshan.core.observation.Observation;
import org.eclipse.leshan.core.observation.SingleObservation;
import org.eclipse.leshan.core.request.BindingMode;
import org.eclipse.leshan.core.request.CancelObservationRequest;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.DiscoverRequest;
import org.eclipse.leshan.core.request.DownlinkRequest;
import org.eclipse.leshan.core.request.ExecuteRequest;
import org.eclipse.leshan.core.request.ObserveRequest;
import org.eclipse.leshan.core.request.ReadRequest;
import org.eclipse.leshan.core.request.WriteRequest;
import org.eclipse.leshan.core.response.DiscoverResponse;
import org.eclipse.leshan.core.response.LwM2mResponse;
import org.eclipse.leshan.core.response.ObserveCompositeResponse;
import org.eclipse.leshan.core.response.ObserveResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.server.LeshanServer;
import org.eclipse.leshan.server.LeshanServerBuilder;
import org.eclipse.leshan.server.californium.endpoint.CaliforniumServerEndpointsProvider;
import org.eclipse.leshan.server.californium.endpoint.coap.CoapServerProtocolProvider;
import org.eclipse.leshan.server.model.VersionedModelProvider;
import org.eclipse.leshan.server.observation.ObservationListener;
import org.eclipse.leshan.server.registration.Registration;
import org.eclipse.leshan.server.registration.RegistrationListener;
import org.eclipse.leshan.server.registration.RegistrationUpdate;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;

/** An LwM2M server on a free loopback port, driven by JSON lines; see README.md. */
public final class Server {
    /** How long a client may take over an answer, where the command does not say. */
    private static final long ANSWER_MS = 10_000;

    private final LeshanServer server;

    private Server(Path registry) throws Exception {
        LeshanServerBuilder builder = new LeshanServerBuilder();
        builder.setObjectModelProvider(new VersionedModelProvider(Models.load(registry)));
        builder.setEndpointsProviders(new CaliforniumServerEndpointsProvider.Builder(new CoapServerProtocolProvider())
                .addEndpoint(new InetSocketAddress("127.0.0.1", 0), Protocol.COAP).build());
        server = builder.build();
        server.getRegistrationService().addListener(new Registrations());
        server.getObservationService().addListener(new Notifications());
    }

    public static void main(String[] args) throws Exception {
        if (args.length != 1) {
            System.err.println("usage: leshan-peer REGISTRY (the folder of objects.tsv and resources.tsv)");
            System.exit(2);
        }
        // slf4j-simple writes to stderr; stdout carries JSON lines only.
        System.setProperty("org.slf4j.simpleLogger.defaultLogLevel", "warn");
        new Server(Path.of(args[0])).run();
        // Californium and Leshan leave non-daemon threads behind.
        System.exit(0);
    }

    private void run() throws Exception {
        server.start();
        ObjectNode ready = Lines.event("ready");
        server.getEndpoints().forEach(endpoint -> ready.put("coap", endpoint.getURI().toString()));
        Lines.emit(ready);
        Lines.serve(this::handle);
        server.destroy();
    }

    // ---- commands

    private void handle(String name, JsonNode command, ObjectNode answer) throws Exception {
        Registration registration = server.getRegistrationService().getByEndpoint(text(command, "ep"));
        if (registration == null) {
            throw new IllegalArgumentException("not registered: " + text(command, "ep"));
        }
        String path = text(command, "path");
        answer.put("path", path);
        if (name.equals("cancel")) {
            cancel(registration, new LwM2mPath(path), command, answer);
        } else {
            LwM2mModel model = server.getModelProvider().getObjectModel(registration);
            put(answer, ask(registration, request(name, path, command, model), command));
        }
    }

    private LwM2mResponse ask(Registration registration, DownlinkRequest<? extends LwM2mResponse> request,
            JsonNode command) throws InterruptedException {
        return server.send(registration, request, command.path("timeout").asLong(ANSWER_MS));
    }

    private static DownlinkRequest<? extends LwM2mResponse> request(String name, String path, JsonNode command,
            LwM2mModel model) throws Exception {
        ContentFormat format = command.has("format") ? ContentFormat.fromName(text(command, "format")) : null;
        return switch (name) {
            case "read" -> new ReadRequest(format, path);
            case "discover" -> new DiscoverRequest(path);
            case "observe" -> new ObserveRequest(format, path);
            case "execute" -> new ExecuteRequest(path, command.path("args").asText(null));
            case "write" -> {
                LwM2mPath target = new LwM2mPath(path);
                WriteRequest.Mode mode = command.path("mode").asText("replace").equals("update")
                        ? WriteRequest.Mode.UPDATE
                        : WriteRequest.Mode.REPLACE;
                yield new WriteRequest(mode, format == null ? ContentFormat.TLV : format, target,
                        Values.node(target, command.get("value"), model));
            }
            default -> throw new IllegalArgumentException("unknown command " + name);
        };
    }

    /** Ends the observation of a path: "active" asks the client (GET with observe 1), else we forget it. */
    private void cancel(Registration registration, LwM2mPath path, JsonNode command, ObjectNode answer)
            throws InterruptedException {
        int cancelled = 0;
        for (Observation observation : server.getObservationService().getObservations(registration)) {
            if (observation instanceof SingleObservation single && single.getPath().equals(path)) {
                cancelled++;
                if (command.path("active").asBoolean()) {
                    put(answer, ask(registration, new CancelObservationRequest(single), command));
                }
                // Needed after an active cancel too: the answer alone leaves the observation in the store.
                server.getObservationService().cancelObservation(observation);
            }
        }
        answer.put("cancelled", cancelled);
    }

    private static String text(JsonNode command, String field) {
        if (!command.hasNonNull(field)) {
            throw new IllegalArgumentException("\"" + field + "\" is missing");
        }
        return command.get(field).asText();
    }

    // ---- answers and events

    private static void put(ObjectNode out, LwM2mResponse response) {
        if (response == null) {
            out.put("ok", false).put("error", "timeout");
            return;
        }
        out.put("ok", response.isSuccess()).put("code", code(response));
        if (response.getErrorMessage() != null) {
            out.put("message", response.getErrorMessage());
        }
        putPayload(out, response);
        if (response.isSuccess() && response instanceof ReadResponse read) {
            Values.add(out.putArray("values"), new LwM2mPath(out.get("path").asText()), read.getContent());
        } else if (response.isSuccess() && response instanceof DiscoverResponse discover) {
            out.set("links", links(discover.getObjectLinks()));
        }
    }

    private static String code(LwM2mResponse response) {
        int code = response.getCode().getCode();
        return code / 100 + "." + String.format("%02d", code % 100);
    }

    /** Content format, and the payload as it came. */
    private static void putPayload(ObjectNode out, LwM2mResponse response) {
        if (response.getCoapResponse() instanceof Message message && message.getPayloadSize() > 0) {
            if (message.getOptions().hasContentFormat()) {
                out.put("format", ContentFormat.fromCode(message.getOptions().getContentFormat()).getName());
            }
            out.put("raw", Values.HEX.formatHex(message.getPayload()));
        }
    }

    private static ArrayNode links(Link[] links) {
        ArrayNode list = Lines.JSON.createArrayNode();
        Arrays.stream(links).map(Link::toCoreLinkFormat).forEach(list::add);
        return list;
    }

    private static ObjectNode describe(Registration registration) {
        ObjectNode out = Lines.object().put("ep", registration.getEndpoint()).put("reg", registration.getId())
                .put("lifetime", registration.getLifeTimeInSec())
                .put("binding", BindingMode.toString(registration.getBindingMode()))
                .put("lwm2m", registration.getLwM2mVersion().toString());
        out.set("links", links(registration.getObjectLinks()));
        return out;
    }

    private static final class Registrations implements RegistrationListener {
        @Override
        public void registered(Registration registration, Registration previous, Collection<Observation> observations) {
            Lines.emit(Lines.event("registered").put("again", previous != null).setAll(describe(registration)));
        }

        @Override
        public void updated(RegistrationUpdate update, Registration updated, Registration previous) {
            Lines.emit(Lines.event("updated").put("newLinks", update.getObjectLinks() != null)
                    .setAll(describe(updated)));
        }

        @Override
        public void unregistered(Registration registration, Collection<Observation> observations, boolean expired,
                Registration next) {
            Lines.emit(Lines.event("deregistered").put("ep", registration.getEndpoint())
                    .put("reg", registration.getId()).put("expired", expired).put("replaced", next != null));
        }
    }

    private static final class Notifications implements ObservationListener {
        @Override
        public void newObservation(Observation observation, Registration registration) {
            Lines.emit(event("observing", observation, registration));
        }

        @Override
        public void cancelled(Observation observation) {
            Lines.emit(event("observation-ended", observation, null));
        }

        @Override
        public void onResponse(SingleObservation observation, Registration registration, ObserveResponse response) {
            ObjectNode out = event("notification", observation, registration).put("code", code(response));
            if (response.getCoapResponse() instanceof Message message) {
                out.put("observe", message.getOptions().getObserve()).put("con", message.isConfirmable());
            }
            putPayload(out, response);
            if (response.isSuccess()) {
                Values.add(out.putArray("values"), observation.getPath(), response.getContent());
            }
            Lines.emit(out);
        }

        @Override
        public void onResponse(CompositeObservation observation, Registration registration,
                ObserveCompositeResponse response) {
            throw new IllegalStateException("no command starts a composite observation");
        }

        @Override
        public void onError(Observation observation, Registration registration, Exception error) {
            Lines.emit(event("notification-error", observation, registration).put("error", Lines.reason(error)));
        }

        private static ObjectNode event(String name, Observation observation, Registration registration) {
            ObjectNode out = Lines.event(name);
            if (registration != null) {
                out.put("ep", registration.getEndpoint());
            }
            return observation instanceof SingleObservation single ? out.put("path", single.getPath().toString()) : out;
        }
    }
}
