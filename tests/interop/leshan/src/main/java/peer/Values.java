package peer;

import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Date;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

import org.eclipse.leshan.core.link.DefaultLinkParser;
import org.eclipse.leshan.core.link.DefaultLinkSerializer;
import org.eclipse.leshan.core.link.Link;
import org.eclipse.leshan.core.link.LinkParseException;
import org.eclipse.leshan.core.model.LwM2mModel;
import org.eclipse.leshan.core.model.ResourceModel;
import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.eclipse.leshan.core.node.LwM2mMultipleResource;
import org.eclipse.leshan.core.node.LwM2mNode;
import org.eclipse.leshan.core.node.LwM2mObject;
import org.eclipse.leshan.core.node.LwM2mObjectInstance;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.node.LwM2mResourceInstance;
import org.eclipse.leshan.core.node.LwM2mSingleResource;
import org.eclipse.leshan.core.node.ObjectLink;
import org.eclipse.leshan.core.util.datatype.ULong;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;

/**
 * LwM2M nodes as JSON: always a flat list of {@code {"path","type","value"[,"t"]}}. Opaque is hex, time is seconds since
 * 1970, an object link "3:0", core links are their link-format text; "t" is the record's own time stamp in seconds.
 */
final class Values {
    static final HexFormat HEX = HexFormat.of();

    private Values() {
    }

    static void add(ArrayNode out, Instant at, LwM2mPath path, LwM2mNode node) {
        if (node instanceof LwM2mObject object) {
            object.getInstances().values().forEach(child -> add(out, at, path.append(child.getId()), child));
        } else if (node instanceof LwM2mObjectInstance instance) {
            instance.getResources().values().forEach(child -> add(out, at, path.append(child.getId()), child));
        } else if (node instanceof LwM2mResource resource && resource.isMultiInstances()) {
            resource.getInstances().values().forEach(child -> add(out, at, path.append(child.getId()), child));
        } else if (node instanceof LwM2mResource resource) {
            add(out, at, path, resource.getType(), resource.getValue());
        } else if (node instanceof LwM2mResourceInstance instance) {
            add(out, at, path, instance.getType(), instance.getValue());
        }
    }

    private static void add(ArrayNode out, Instant at, LwM2mPath path, Type type, Object value) {
        ObjectNode entry = out.addObject().put("path", path.toString()).put("type", type.name());
        switch (type) {
            case INTEGER -> entry.put("value", (Long) value);
            case UNSIGNED_INTEGER -> entry.put("value", ((ULong) value).toBigInteger());
            case FLOAT -> entry.put("value", (Double) value);
            case BOOLEAN -> entry.put("value", (Boolean) value);
            case TIME -> entry.put("value", BigDecimal.valueOf(((Date) value).getTime(), 3).stripTrailingZeros());
            case OPAQUE -> entry.put("value", HEX.formatHex((byte[]) value));
            case OBJLNK -> entry.put("value", ((ObjectLink) value).encodeToString());
            case CORELINK -> entry.put("value", new DefaultLinkSerializer().serializeCoreLinkFormat((Link[]) value));
            default -> entry.put("value", String.valueOf(value));
        }
        if (at != null) {
            entry.put("t", BigDecimal.valueOf(at.toEpochMilli(), 3));
        }
    }

    /** The node to write at a path: an instance from {"0": …}, a resource (several values: {"0": …}) or one value. */
    static LwM2mNode node(LwM2mPath path, JsonNode value, LwM2mModel model) {
        if (path.isObjectInstance()) {
            return new LwM2mObjectInstance(path.getObjectInstanceId(), resources(path.getObjectId(), value, model));
        }
        if (path.isResource()) {
            return resource(path.getObjectId(), path.getResourceId(), value, model);
        }
        if (path.isResourceInstance()) {
            Type type = type(path.getObjectId(), path.getResourceId(), model);
            return LwM2mResourceInstance.newInstance(path.getResourceInstanceId(), parse(type, value), type);
        }
        throw new IllegalArgumentException("cannot write at " + path);
    }

    static List<LwM2mResource> resources(int object, JsonNode values, LwM2mModel model) {
        List<LwM2mResource> resources = new ArrayList<>();
        values.fields().forEachRemaining(
                entry -> resources.add(resource(object, Integer.parseInt(entry.getKey()), entry.getValue(), model)));
        return resources;
    }

    private static LwM2mResource resource(int object, int id, JsonNode value, LwM2mModel model) {
        Type type = type(object, id, model);
        if (!value.isObject()) {
            return LwM2mSingleResource.newResource(id, parse(type, value), type);
        }
        Map<Integer, Object> values = new HashMap<>();
        value.fields().forEachRemaining(
                entry -> values.put(Integer.valueOf(entry.getKey()), parse(type, entry.getValue())));
        return LwM2mMultipleResource.newResource(id, values, type);
    }

    /** The type in the object's definition; of what is defined nowhere, a string. */
    private static Type type(int object, int id, LwM2mModel model) {
        ResourceModel definition = model.getResourceModel(object, id);
        return definition == null || definition.type == Type.NONE ? Type.STRING : definition.type;
    }

    private static Object parse(Type type, JsonNode value) {
        return switch (type) {
            case INTEGER -> value.asLong();
            case UNSIGNED_INTEGER -> ULong.valueOf(value.asText());
            case FLOAT -> value.asDouble();
            case BOOLEAN -> value.asBoolean();
            case TIME -> new Date(value.decimalValue().movePointRight(3).longValueExact());
            case OPAQUE -> HEX.parseHex(value.asText());
            case OBJLNK -> ObjectLink.decodeFromString(value.asText());
            case CORELINK -> coreLinks(value.asText());
            default -> value.asText();
        };
    }

    private static Link[] coreLinks(String text) {
        try {
            return new DefaultLinkParser().parseCoreLinkFormat(text.getBytes(StandardCharsets.UTF_8));
        } catch (LinkParseException e) {
            throw new IllegalArgumentException(e);
        }
    }
}
