package peer;

import java.util.Collection;
import java.util.function.Consumer;

import org.eclipse.californium.core.coap.CoAP;
import org.eclipse.californium.core.coap.MessageObserverAdapter;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.coap.Response;
import org.eclipse.leshan.core.link.lwm2m.attributes.DefaultLwM2mAttributeParser;
import org.eclipse.leshan.core.link.lwm2m.attributes.LwM2mAttributeSet;
import org.eclipse.leshan.core.model.LwM2mModel;
import org.eclipse.leshan.core.node.LwM2mObjectInstance;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.CreateRequest;
import org.eclipse.leshan.core.request.DeleteRequest;
import org.eclipse.leshan.core.request.DiscoverRequest;
import org.eclipse.leshan.core.request.DownlinkRequest;
import org.eclipse.leshan.core.request.ExecuteRequest;
import org.eclipse.leshan.core.request.ObserveRequest;
import org.eclipse.leshan.core.request.ReadRequest;
import org.eclipse.leshan.core.request.WriteAttributesRequest;
import org.eclipse.leshan.core.request.WriteRequest;
import org.eclipse.leshan.core.response.LwM2mResponse;
import org.eclipse.leshan.server.request.LowerLayerConfig;

import com.fasterxml.jackson.databind.JsonNode;

/** From a command to the request that Leshan sends. */
final class Requests {
    private Requests() {
    }

    static DownlinkRequest<? extends LwM2mResponse> of(String name, String path, JsonNode command, LwM2mModel model)
            throws Exception {
        return switch (name) {
            case "read" -> new ReadRequest(format(command, null), path);
            case "discover" -> new DiscoverRequest(path);
            case "observe" -> new ObserveRequest(format(command, null), path);
            case "execute" -> new ExecuteRequest(path, command.path("args").asText(null));
            case "delete" -> new DeleteRequest(path);
            case "write" -> write(new LwM2mPath(path), command, model);
            case "create" -> create(new LwM2mPath(path).getObjectId(), command, model);
            case "write-attributes" -> new WriteAttributesRequest(path, new LwM2mAttributeSet(
                    new DefaultLwM2mAttributeParser().parseUriQuery(text(command, "attributes"))));
            default -> throw new IllegalArgumentException("unknown command " + name);
        };
    }

    private static WriteRequest write(LwM2mPath path, JsonNode command, LwM2mModel model) {
        WriteRequest.Mode mode = command.path("mode").asText("replace").equals("update") ? WriteRequest.Mode.UPDATE
                : WriteRequest.Mode.REPLACE;
        return new WriteRequest(mode, format(command, ContentFormat.TLV), path,
                Values.node(path, command.get("value"), model));
    }

    /** With "instance" the server chooses the ID, else the client does. */
    private static CreateRequest create(int object, JsonNode command, LwM2mModel model) {
        Collection<LwM2mResource> resources = Values.resources(object, command.get("value"), model);
        ContentFormat format = format(command, ContentFormat.TLV);
        return command.has("instance")
                ? new CreateRequest(format, object, new LwM2mObjectInstance(command.get("instance").asInt(), resources))
                : new CreateRequest(format, object, resources);
    }

    /** By name (TLV, SENML_CBOR, …) or by number. */
    private static ContentFormat format(JsonNode command, ContentFormat otherwise) {
        JsonNode format = command.path("format");
        return format.isMissingNode() ? otherwise
                : format.isInt() ? ContentFormat.fromCode(format.asInt()) : ContentFormat.fromName(format.asText());
    }

    /**
     * What is changed in the request after Leshan has made it, for requests that it would not make: "payload" (hex) and
     * "contentFormat" (number) take the place of its own, "non" makes it Non-confirmable. Tells what comes back, since
     * Leshan keeps it to itself when it cannot decode it.
     */
    static LowerLayerConfig changes(JsonNode command, Consumer<Response> answered) {
        return lower -> {
            Request request = (Request) lower;
            request.addMessageObserver(new MessageObserverAdapter() {
                @Override
                public void onResponse(Response response) {
                    answered.accept(response);
                }
            });
            if (command.has("payload")) {
                request.setPayload(Values.HEX.parseHex(command.get("payload").asText()));
            }
            if (command.has("contentFormat")) {
                request.getOptions().setContentFormat(command.get("contentFormat").asInt());
            }
            if (command.path("non").asBoolean()) {
                request.setType(CoAP.Type.NON);
            }
        };
    }

    static String text(JsonNode command, String field) {
        if (!command.hasNonNull(field)) {
            throw new IllegalArgumentException("\"" + field + "\" is missing");
        }
        return command.get(field).asText();
    }
}
